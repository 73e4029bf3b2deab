import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { forEach } from '../failure.ts';
import { printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Block until one or more containers stop, then print their exit codes',
  aliases: ['tsc container wait', 'tsc wait'],
  flags: {},
  least: 1,
  run: ({ positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        printLine(String(await engine.container(reference).wait()));
      }),
    ),
});
