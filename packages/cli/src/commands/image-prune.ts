import type { PruneReport } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { badValue } from '../errors.ts';
import { list, toggle } from '../flags/flag.ts';
import { parseFilters } from '../format/filter.ts';
import { humanSize } from '../format/size.ts';
import { print } from '../output.ts';
import { parseTimestamp } from '../words/timestamp.ts';
import { isTrue } from './image-row.ts';

const DANGLING = 'This will remove all dangling images.';
const ALL = 'This will remove all images without at least one container associated to them.';

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove unused images',
  aliases: ['tsc image prune'],
  flags: {
    all: toggle('Remove all unused images, not just dangling ones', { short: 'a' }),
    filter: list('Provide filter values (e.g. "until=<timestamp>")', { valueName: 'filter' }),
    force: toggle('Do not prompt for confirmation', { short: 'f' }),
  },
  least: 0,
  most: 0,
  run: async ({ values, surroundings }) => {
    const selection = parsePruneFilters(values.filter, new Date());
    const all = values.all || selection.all;
    const terminal = { input: process.stdin, output: process.stdout };
    if (!values.force && !(await confirm(all ? ALL : DANGLING, terminal))) return 0;
    return await withEngine(surroundings, async (engine) => {
      print(formatPruned(await engine.pruneImages({ ...selection, all })));
      return 0;
    });
  },
});

/** Which images `--filter` words leave to be pruned. */
export interface PruneSelection {
  /** `dangling=false` means what `--all` means. */
  readonly all: boolean;
  readonly until: Date | undefined;
  /** `key`, `key=value`; with `!` before it for images without. */
  readonly labels: readonly string[];
}

export function parsePruneFilters(words: readonly string[], now: Date): PruneSelection {
  const filters = parseFilters(words, ['dangling', 'label', 'label!', 'until']);
  const [until, ...more] = filters.get('until') ?? [];
  if (more.length > 0) throw badValue('more than one until filter specified');
  return {
    all: (filters.get('dangling') ?? []).some((word) => !isTrue('dangling', word)),
    until: until === undefined ? undefined : parseTimestamp(until, now),
    labels: [...(filters.get('label') ?? []), ...(filters.get('label!') ?? []).map((label) => `!${label}`)],
  };
}

export function formatPruned({ untagged, deleted, reclaimedBytes }: PruneReport): string {
  const lines = [...untagged.map((name) => `untagged: ${name}`), ...deleted.map((digest) => `deleted: ${digest}`)];
  const removed = lines.length === 0 ? '' : `Deleted Images:\n${lines.join('\n')}\n\n`;
  return `${removed}Total reclaimed space: ${humanSize(reclaimedBytes)}\n`;
}
