import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { forEach } from '../failure.ts';
import { integer, text } from '../flags/flag.ts';
import { printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Stop one or more running containers',
  aliases: ['tsc container stop', 'tsc stop'],
  flags: {
    signal: text('Signal to send to the container', { short: 's' }),
    timeout: integer('Seconds to wait before killing the container', { short: 't', aliases: ['time'] }),
  },
  least: 1,
  run: ({ values, positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        const timeoutMs = values.timeout === undefined ? undefined : values.timeout * 1000;
        await engine.container(reference).stop({ timeoutMs, stopSignal: values.signal });
        printLine(reference);
      }),
    ),
});
