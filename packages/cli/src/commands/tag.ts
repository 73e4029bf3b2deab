import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';

export const command: Command = defineCommand({
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  aliases: ['tsc image tag', 'tsc tag'],
  flags: {},
  least: 2,
  most: 2,
  run: ({ positional: [source = '', target = ''], surroundings }) =>
    withEngine(surroundings, async (engine) => {
      await engine.images.tag(source, target);
      return 0;
    }),
});
