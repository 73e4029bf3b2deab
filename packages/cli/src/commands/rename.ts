import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';

export const command: Command = defineCommand({
  usage: 'CONTAINER NEW_NAME',
  summary: 'Rename a container',
  aliases: ['tsc container rename', 'tsc rename'],
  flags: {},
  least: 2,
  most: 2,
  run: ({ positional: [reference = '', name = ''], surroundings }) =>
    withEngine(surroundings, (engine) => {
      engine.container(reference).rename(name);
      return Promise.resolve(0);
    }),
});
