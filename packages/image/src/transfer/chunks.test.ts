import { describe, expect, it } from '@jest/globals';

import { chunkBytesFor, contiguousBytes, nextRun, planChunks } from './chunks.ts';

const MIB = 1024 ** 2;
const nobody = { taken: new Set<number>(), alone: false };

describe('the chunks of a layer', () => {
  it('cover it, and are not too many', () => {
    expect(planChunks(0, 16 * MIB)).toEqual([]);
    expect(planChunks(25, 10)).toEqual([
      { start: 0, length: 10 },
      { start: 10, length: 10 },
      { start: 20, length: 5 },
    ]);
    expect(chunkBytesFor(1)).toBe(16 * MIB);
    for (const size of [1024 ** 4, 2 ** 50])
      expect(planChunks(size, chunkBytesFor(size)).length).toBeLessThanOrEqual(4096);
  });

  it('are fetched from the lowest on, each by one', () => {
    const chunks = planChunks(25, 10);
    expect(nextRun(chunks, [0, 0, 0], nobody)).toEqual({ first: 0, last: 0, start: 0, end: 10 });
    expect(nextRun(chunks, [10, 3, 0], nobody)).toEqual({ first: 1, last: 1, start: 13, end: 20 });
    expect(nextRun(chunks, [3, 3, 0], { taken: new Set([0, 1]), alone: false })).toEqual({
      first: 2,
      last: 2,
      start: 20,
      end: 25,
    });
    expect(nextRun(chunks, [10, 10, 5], nobody)).toBeUndefined();
  });

  it('are fetched in a row by who is alone, up to one that has begun', () => {
    const chunks = planChunks(45, 10);
    const alone = { taken: new Set<number>(), alone: true };
    expect(nextRun(chunks, [0, 0, 0, 0, 0], alone)).toEqual({ first: 0, last: 4, start: 0, end: 45 });
    expect(nextRun(chunks, [4, 0, 1, 0, 0], alone)).toEqual({ first: 0, last: 1, start: 4, end: 20 });
    expect(nextRun(chunks, [10, 10, 1, 0, 5], alone)).toEqual({ first: 2, last: 3, start: 21, end: 40 });
  });

  it('can be read up to the first gap', () => {
    const chunks = planChunks(25, 10);
    expect(contiguousBytes(chunks, [0, 10, 5])).toBe(0);
    expect(contiguousBytes(chunks, [10, 3, 5])).toBe(13);
    expect(contiguousBytes(chunks, [10, 10, 5])).toBe(25);
    expect(contiguousBytes([], [])).toBe(0);
  });
});
