import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { forEach } from '../failure.ts';
import { integer } from '../flags/flag.ts';
import { printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Restart one or more containers',
  aliases: ['tsc container restart', 'tsc restart'],
  flags: {
    timeout: integer('Seconds to wait before killing the container', { short: 't', aliases: ['time'] }),
  },
  notYet: ['signal', 's'],
  least: 1,
  run: ({ values, positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        const timeoutMs = values.timeout === undefined ? undefined : values.timeout * 1000;
        await engine.container(reference).restart({ timeoutMs });
        printLine(reference);
      }),
    ),
});
