import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@tsc/image';

import { formatPruned, parsePruneFilters } from './image-prune.ts';

const now = new Date('2026-03-01T12:00:00Z');

describe('filters of image prune', () => {
  it('know time, labels and their absence', () => {
    expect(parsePruneFilters(['until=24h', 'label=a', 'label!=keep=yes'], now)).toEqual({
      all: false,
      until: new Date('2026-02-28T12:00:00Z'),
      labels: ['a', '!keep=yes'],
    });
    expect(parsePruneFilters(['dangling=false'], now).all).toBe(true);
    expect(parsePruneFilters(['dangling=true'], now).all).toBe(false);
  });
  it.each([
    [['until=1h', 'until=2h'], 'more than one until filter specified'],
    [['until=soon'], '"soon" is neither a time'],
    [['reference=x'], "invalid filter 'reference'"],
  ])('refuse %j', (words, message) => {
    expect(() => parsePruneFilters(words, now)).toThrow(message);
  });
});

it('says what is gone, and how much that was', () => {
  const id = digestOf('x');
  expect(formatPruned({ untagged: ['app:1'], deleted: [id], reclaimedBytes: 1500 })).toBe(
    `Deleted Images:\nuntagged: app:1\ndeleted: ${id}\n\nTotal reclaimed space: 1.5kB\n`,
  );
  expect(formatPruned({ untagged: [], deleted: [], reclaimedBytes: 0 })).toBe('Total reclaimed space: 0B\n');
});
