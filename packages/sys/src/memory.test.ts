import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';

import { mallocTrim } from './memory.ts';

const PIECES = 2000;
/** Small enough to come from malloc's own pages, not from a mapping each. */
const PIECE_BYTES = 16 * 1024;

const residentBytes = (): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;

test('what was freed among what is still in use goes back to the kernel', () => {
  const pieces = Array.from({ length: PIECES }, () => new ArrayBuffer(PIECE_BYTES));
  for (const piece of pieces) new Uint8Array(piece).fill(1);
  // The last one stays, so that the end of the heap cannot move.
  for (const piece of pieces.slice(0, -1)) piece.transfer(0);
  const before = residentBytes();
  mallocTrim();
  expect(before - residentBytes()).toBeGreaterThan((PIECES * PIECE_BYTES) / 2);
  expect(pieces.at(-1)?.byteLength).toBe(PIECE_BYTES);
});
