import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { list, text, toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  summary: "Create a new image from a container's changes",
  aliases: ['tsc container commit', 'tsc commit'],
  flags: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', { short: 'a' }),
    change: list('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: text('Commit message', { short: 'm' }),
    pause: toggle('Pause container during commit', { short: 'p', initial: true }),
  },
  notYet: ['no-pause'],
  least: 1,
  most: 2,
  run: ({ values, positional: [container = '', reference], surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const { author, change: changes, message, pause } = values;
      printLine(await engine.container(container).commit({ reference, author, changes, message, pause }));
      return 0;
    }),
});
