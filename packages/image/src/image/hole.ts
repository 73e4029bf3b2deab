import { setImmediate as nextTurn } from 'node:timers/promises';

import { ImageError } from '../errors.ts';
import type { TarEntry } from '../tar/entry.ts';

const ZEROS = Buffer.alloc(1024 ** 2);
/** What holes of sparse files may come to when they have to be spelled out: a few kilobytes can claim any size. */
const HOLES_MAX_BYTES = 16 * 1024 ** 3;

/** The bytes of holes met so far and in this file. @throws {@link ImageError} `LAYER_LIMIT` */
export const holeBytes = (before: number, { size, extents = [{ offset: 0, length: size }] }: TarEntry): number => {
  const total = before + size - extents.reduce((sum, { length }) => sum + length, 0);
  if (total <= HOLES_MAX_BYTES) return total;
  throw new ImageError('LAYER_LIMIT', `layer refused: holes of more than ${String(HOLES_MAX_BYTES)} bytes`);
};

/** The bytes of a hole, in chunks that others must not write to. */
export async function* zeros(length: number): AsyncGenerator<Buffer, void, void> {
  for (let left = length; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, left);
    if (left > ZEROS.length) await nextTurn();
  }
}
