import { once } from 'node:events';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue } from '../errors.ts';
import { toggle, value } from '../flags/flag.ts';
import { parseTimestamp } from '../words/timestamp.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  summary: 'Fetch the logs of a container',
  aliases: ['tsc container logs', 'tsc logs'],
  flags: {
    follow: toggle('Follow log output', { short: 'f' }),
    since: value(
      'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
      (word) => parseTimestamp(word, new Date()),
    ),
    tail: value('Number of lines to show from the end of the logs', parseTail, { short: 'n', shownDefault: '"all"' }),
    timestamps: toggle('Show timestamps', { short: 't' }),
    until: value(
      'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
      (word) => parseTimestamp(word, new Date()),
    ),
  },
  notYet: ['details'],
  least: 1,
  most: 1,
  run: ({ values, positional: [reference = ''], surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const { follow, since, until } = values;
      const tail = values.tail === 'all' ? undefined : values.tail;
      let midLine = false;
      for await (const { stream, time, text } of engine.container(reference).logs({ follow, since, until, tail })) {
        const shown = values.timestamps && !midLine ? `${time} ${text}` : text;
        midLine = !text.endsWith('\n');
        const output = process[stream];
        if (!output.write(shown)) await once(output, 'drain');
      }
      return 0;
    }),
});

function parseTail(word: string): number | 'all' {
  // A negative number has always meant everything, too.
  if (word === 'all' || /^-\d+$/.test(word)) return 'all';
  if (!/^\d+$/.test(word)) throw badValue(`invalid value for "tail": ${word}`);
  return Number(word);
}
