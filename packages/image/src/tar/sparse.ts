import { ImageError } from '../errors.ts';
import { blockCount } from './block.ts';
import type { Extent } from './entry.ts';

const invalid = (why: string): ImageError => new ImageError('LAYER_INVALID', `invalid sparse file: ${why}`);

const number = (text: string): number => {
  const value = Number(text);
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw invalid('a number of its map is unreadable');
  return value;
};

/** Pairs of numbers to extents. */
export const pairExtents = (numbers: readonly number[]): readonly Extent[] => {
  if (numbers.length % 2 !== 0) throw invalid('its map ends inside a pair');
  const extents: Extent[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    extents.push({ offset: numbers[at] as number, length: numbers[at + 1] as number });
  }
  return extents;
};

/** Extents ascend, do not overlap, stay inside the file, and their sum is what is stored. */
export const checkExtents = (extents: readonly Extent[], size: number, storedBytes: number): void => {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    if (offset < end || offset + length > size) throw invalid('its map is out of order or leaves the file');
    end = offset + length;
    sum += length;
  }
  if (sum !== storedBytes) throw invalid('its map does not fit what is stored');
};

/** The map of PAX formats 0.0 and 0.1: `offset,length,offset,length…`. */
export const parseSparseList = (text: string): readonly Extent[] =>
  pairExtents(text === '' ? [] : text.split(',').map(number));

export interface OldSparse {
  readonly numbers: readonly number[];
  /** Another block of map entries follows. */
  readonly extended: boolean;
}

const oldEntries = (block: Buffer, from: number, count: number): readonly number[] => {
  const numbers: number[] = [];
  for (let entry = 0; entry < count; entry += 1) {
    const at = from + entry * 24;
    if (block[at + 12] === 0 && block[at] === 0) break;
    numbers.push(blockCount(block, at, at + 12), blockCount(block, at + 12, at + 24));
  }
  return numbers;
};

/** The four map entries in the header of GNU's old format. */
export const readOldSparse = (header: Buffer): OldSparse & { readonly size: number } => ({
  numbers: oldEntries(header, 386, 4),
  extended: header[482] !== 0,
  size: blockCount(header, 483, 495),
});

/** A continuation block with up to 21 map entries. */
export const readOldSparseExtension = (block: Buffer): OldSparse => ({
  numbers: oldEntries(block, 0, 21),
  extended: block[504] !== 0,
});

/**
 * The map of PAX format 1.0, which stands before the data: decimal lines, the first one their count. `undefined` while
 * blocks are missing.
 */
export const parseSparseHead = (head: Buffer, maxExtents: number): readonly Extent[] | undefined => {
  const lines = head.toString('latin1').split('\n');
  if (lines.length < 2) return undefined;
  const count = number(lines[0] as string);
  if (count > maxExtents)
    throw new ImageError('LAYER_LIMIT', `a sparse file has more than ${String(maxExtents)} extents`);
  if (lines.length < 2 + count * 2) return undefined;
  return pairExtents(lines.slice(1, 1 + count * 2).map(number));
};
