import { describe, expect, it } from '@jest/globals';

import { composeFrame, redraw } from './frame.ts';
import { formatItem } from './item.ts';
import type { ProgressItem } from './item.ts';

const moving = (id: string, current: number, total: number): ProgressItem => ({
  id,
  status: 'Downloading',
  bytes: { current, total },
  finished: false,
});
const still = (id: string, status: string, finished = false): ProgressItem => ({ id, status, finished });

describe('formatItem', () => {
  it.each<readonly [item: ProgressItem, columns: number, line: string]>([
    [still('aaaaaaaaaaaa', 'Pull complete', true), 80, 'aaaaaaaaaaaa: Pull complete'],
    [
      moving('aaaaaaaaaaaa', 12_300_000, 24_600_000),
      100,
      `aaaaaaaaaaaa: Downloading [${'='.repeat(25)}>${' '.repeat(25)}]   12.3MB/24.6MB`,
    ],
    [
      moving('aaaaaaaaaaaa', 12_300_000, 24_600_000),
      60,
      'aaaaaaaaaaaa: Downloading [=======>        ]   12.3MB/24.6MB',
    ],
    [moving('aaaaaaaaaaaa', 12_300_000, 24_600_000), 50, 'aaaaaaaaaaaa: Downloading   12.3MB/24.6MB'],
    [moving('aaaaaaaaaaaa', 12_300_000, 24_600_000), 20, 'aaaaaaaaaaaa: Downlo'],
    [moving('aaaaaaaaaaaa', 12_300, 0), 80, 'aaaaaaaaaaaa: Downloading   12.3kB'],
    [moving('aaaaaaaaaaaa', 30, 20), 60, `aaaaaaaaaaaa: Downloading [${'='.repeat(18)}>]      30B/20B`],
  ])('%j in %d columns', (item, columns, line) => {
    expect(formatItem(item, columns)).toBe(line);
    expect(line.length).toBeLessThanOrEqual(columns);
  });
});

describe('composeFrame', () => {
  const items = [
    still('a', 'Already exists', true),
    moving('b', 1, 2),
    still('c', 'Pulling fs layer'),
    moving('d', 1, 2),
  ];

  it('shows all items where there is room', () => {
    expect(composeFrame(items, { columns: 20, rows: 5 })).toEqual([
      'a: Already exists',
      'b: Downloading      ',
      'c: Pulling fs layer',
      'd: Downloading      ',
    ]);
  });

  it('shows what moves, and counts the rest, where there is not', () => {
    expect(composeFrame(items, { columns: 80, rows: 4 }).map((line) => line.slice(0, 14))).toEqual([
      'b: Downloading',
      'd: Downloading',
      '... and 2 more',
    ]);
    expect(composeFrame(items, { columns: 80, rows: 4 }).at(-1)).toBe('... and 2 more: 1 finished, 1 waiting');
    expect(composeFrame(items, { columns: 80, rows: 1 })).toEqual(['... and 4 more: 1 finished, 3 waiting']);
    for (const rows of [1, 2, 3, 4, 5, 6]) {
      expect(composeFrame(items, { columns: 9, rows }).length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    }
  });
});

describe('redraw', () => {
  it('goes up over what was drawn, as the terminal has folded it since', () => {
    expect(redraw([], ['a', 'b'], 80)).toBe('\r\u001b[2Ka\n\u001b[2Kb\n\u001b[J');
    expect(redraw(['x', 'y'], ['a'], 80)).toBe('\r\u001b[2A\u001b[2Ka\n\u001b[J');
    expect(redraw(['x'.repeat(20), '', 'y'], [], 10)).toBe('\r\u001b[4A\u001b[J');
  });
});
