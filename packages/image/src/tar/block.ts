import { Header } from 'tar/header';

import { ImageError, quote } from '../errors.ts';

export const BLOCK: number = 512;

/** The plain fields of a 512-byte header, before extensions. */
export interface Block {
  readonly typeFlag: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
}

const invalid = (why: string): ImageError => new ImageError('LAYER_INVALID', `invalid tar header: ${why}`);

/** Text up to the first NUL. */
const text = (block: Buffer, from: number, to: number): string => {
  const nul = block.indexOf(0, from);
  const value = block.toString('utf8', from, nul < 0 || nul > to ? to : nul);
  if (value.includes('\ufffd')) throw invalid(`name is not UTF-8: ${quote(value)}`);
  return value;
};

const octal = (block: Buffer, from: number, to: number): number => {
  const digits = text(block, from, to).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : 0;
};

/** A number that node-tar could not read: nothing was written there, or something else was. */
const orZero = (value: number | undefined, block: Buffer, [from, to]: readonly [number, number]): number => {
  if (value !== undefined && Number.isSafeInteger(value)) return value;
  if (block.subarray(from, to).every((byte) => byte === 0 || byte === 0x20)) return 0;
  throw invalid(`a number at byte ${String(from)} is unreadable`);
};

const decode = (block: Buffer): Header => {
  try {
    return new Header(block);
  } catch (error) {
    throw new ImageError('LAYER_INVALID', 'invalid tar header: a number is out of range', { cause: error });
  }
};

/** Only POSIX archives have a prefix; GNU ones keep times there, and star's a shorter one. */
const prefix = (block: Buffer): string => {
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return '';
  const star = block.toString('latin1', 508, 512) === 'tar\0';
  const value = text(block, 345, star ? 476 : 500);
  return value === '' ? '' : `${value}/`;
};

/** True for the all-zero blocks that end an archive. */
export const isZeroBlock = (block: Buffer): boolean => block[0] === 0 && block.every((byte) => byte === 0);

/**
 * Decodes a header with node-tar's codec, which knows the number formats and the checksum. Names are taken from the
 * bytes here, because its string reader drops what it can't decode, and GNU device numbers, because it skips them.
 */
export const decodeBlock = (block: Buffer): Block => {
  const header = decode(block);
  if (!header.cksumValid) throw invalid('checksum does not match');
  const mtime = header.mtime?.getTime() ?? 0;
  const own = text(block, 0, 100);
  return {
    typeFlag: String.fromCharCode(block[156] ?? 0),
    name: prefix(block) + own,
    linkName: text(block, 157, 257),
    mode: orZero(header.mode, block, [100, 108]) & 0o7777,
    uid: orZero(header.uid, block, [108, 116]),
    gid: orZero(header.gid, block, [116, 124]),
    size: sizeOf(header, block),
    mtimeNs: BigInt(Number.isFinite(mtime) ? Math.floor(mtime / 1000) : 0) * 1_000_000_000n,
    devMajor: octal(block, 329, 337),
    devMinor: octal(block, 337, 345),
  };
};

/** node-tar forgets the size of a file whose name ends in a slash, though a PAX header may name it otherwise. */
const sizeOf = (header: Header, block: Buffer): number =>
  header.typeKey === '5' && block[156] !== 0x35 ? octal(block, 124, 136) : orZero(header.size, block, [124, 136]);
