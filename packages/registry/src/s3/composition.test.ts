import { describe, expect, test } from '@jest/globals';

import { PART_MIN_BYTES, planComposition } from './composition.ts';
import type { CompositionPart, PieceRange } from './composition.ts';

const rangesOf = (part: CompositionPart): readonly PieceRange[] => (part.type === 'copy' ? [part.from] : part.from);
const bytesOf = (part: CompositionPart): number =>
  rangesOf(part).reduce((sum, { range }) => sum + range.last - range.first + 1, 0);

/** Every byte once, in order, and no part that the server would refuse or our memory would feel. */
function check(sizes: readonly number[]): void {
  const parts = planComposition(sizes);
  const expected = sizes.flatMap((sizeBytes, piece) => (sizeBytes > 0 ? [[piece, 0, sizeBytes] as const] : []));
  const merged: [number, number, number][] = [];
  for (const { piece, range } of parts.flatMap(rangesOf)) {
    const last = merged.at(-1);
    if (last?.[0] === piece && last[2] === range.first) last[2] = range.last + 1;
    else merged.push([piece, range.first, range.last + 1]);
  }
  expect(merged).toEqual(expected);
  for (const [at, part] of parts.entries()) {
    const bytes = bytesOf(part);
    if (at < parts.length - 1 || part.type === 'copy') expect(bytes).toBeGreaterThanOrEqual(PART_MIN_BYTES);
    expect(bytes).toBeLessThanOrEqual(part.type === 'copy' ? 1024 ** 3 : 3 * PART_MIN_BYTES);
  }
}

describe('planComposition', () => {
  test('large pieces are copied, small ones go through memory', () => {
    const types = planComposition([PART_MIN_BYTES * 4, 10, PART_MIN_BYTES * 4]).map(({ type }) => type);
    expect(types).toEqual(['copy', 'join', 'copy']);
    expect(planComposition([])).toEqual([]);
    expect(planComposition([0, 0])).toEqual([]);
    expect(planComposition([7, 8]).map(({ type }) => type)).toEqual(['join']);
  });

  test('any sizes end in parts that S3 takes', () => {
    const edges = [0, 1, PART_MIN_BYTES - 1, PART_MIN_BYTES, PART_MIN_BYTES + 1, 2 * PART_MIN_BYTES - 1, 2 ** 31];
    for (const first of edges) {
      for (const second of edges) for (const third of edges) check([first, second, third]);
    }
    const random = (): number => Math.floor(Math.random() * PART_MIN_BYTES * 3);
    for (let round = 0; round < 200; round++) check(Array.from({ length: 8 }, random));
  });
});
