import { expect, it } from '@jest/globals';
import { digestOf } from '@tsc/image';
import type { StoredImage } from '@tsc/image';

import { historyRows, localTimestamp } from './history-row.ts';

const now = new Date('2026-03-01T00:00:00Z');
const layer = (sizeBytes: number): StoredImage['layers'][number] => {
  const digest = digestOf(String(sizeBytes));
  return { digest, diffId: digest, chainId: digest, sizeBytes };
};
const id = digestOf('image');
const image = (history: StoredImage['config']['history'], sizes: readonly number[]) => {
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' as const, diff_ids: [] }, history };
  return { id, config, layers: sizes.map(layer) };
};
const options = { now, truncate: true, human: true };

it('gives each step that made a layer its size, the last step first', () => {
  const rows = historyRows(
    image(
      [
        { created: '2026-02-28T22:00:00Z', created_by: 'ADD\trootfs.tar /', comment: 'base' },
        { created: '1970-01-01T00:00:00Z', created_by: 'CMD ["sh"]', empty_layer: true },
        { created_by: `RUN ${'x'.repeat(60)}` },
      ],
      [78_123_456, 1200],
    ),
    options,
  );
  expect(rows.map(({ ID, CreatedSince, Size, Comment }) => [ID, CreatedSince, Size, Comment])).toEqual([
    [id.slice(7, 19), '', '1.2kB', ''],
    ['<missing>', '', '0B', ''],
    ['<missing>', '2 hours ago', '78.1MB', 'base'],
  ]);
  expect(rows.map(({ CreatedBy }) => CreatedBy)).toEqual([`RUN ${'x'.repeat(40)}…`, 'CMD ["sh"]', 'ADD rootfs.tar /']);
});

it('shows whole ids, bytes and dates when asked', () => {
  const [row] = historyRows(image([{ created: '2026-02-28T22:00:00.5Z' }], [1200]), {
    now,
    truncate: false,
    human: false,
  });
  const created = localTimestamp(new Date('2026-02-28T22:00:00Z'));
  expect(row).toMatchObject({ ID: id, Size: '1200', CreatedAt: created, CreatedSince: created });
  expect(created).toMatch(/^2026-0\d-\d\dT\d\d:\d\d:00(Z|[+-]\d\d:\d\d)$/);
});

it('does not hide layers that the history says nothing of', () => {
  expect(historyRows(image(undefined, [5, 6]), options).map(({ Size }) => Size)).toEqual(['6B', '5B']);
  expect(historyRows(image([{ created_by: 'RUN' }], []), options).map(({ Size }) => Size)).toEqual(['0B']);
});
