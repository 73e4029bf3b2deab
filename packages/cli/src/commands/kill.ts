import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { forEach } from '../failure.ts';
import { text } from '../flags/flag.ts';
import { printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Kill one or more running containers',
  aliases: ['tsc container kill', 'tsc kill'],
  flags: { signal: text('Signal to send to the container', { short: 's' }) },
  least: 1,
  run: ({ values, positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        await engine.container(reference).kill(values.signal);
        printLine(reference);
      }),
    ),
});
