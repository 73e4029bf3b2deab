import { ImageError } from '../errors.ts';
import { decodeName } from './name.ts';

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

const NUL = 0;
const SPACE = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;
const CHECKSUM_FROM = 148;
const CHECKSUM_TO = 156;
/** The high bit of a number that is stored in base 256; with the next one it is negative. */
const BINARY = 0x80;
const NEGATIVE = 0x40;

/** Text up to the first NUL. */
const text = (block: Buffer, from: number, to: number): string => {
  if (block[from] === NUL) return '';
  const nul = block.indexOf(NUL, from);
  const end = nul < 0 || nul > to ? to : nul;
  const value = block.toString('utf8', from, end);
  return value.includes('\ufffd') ? decodeName(block.subarray(from, end)) : value;
};

/** Octal digits, after spaces perhaps, up to a NUL or a space; `undefined` when something else is there. */
const octal = (block: Buffer, from: number, to: number): number | undefined => {
  let at = from;
  while (at < to && block[at] === SPACE) at += 1;
  let value = 0;
  for (; at < to; at += 1) {
    const byte = block[at] as number;
    if (byte === NUL || byte === SPACE) break;
    if (byte < ZERO || byte > SEVEN) return undefined;
    value = value * 8 + byte - ZERO;
  }
  return value;
};

/** A big-endian number in two's complement, as GNU tar and star write what octal digits have no room for. */
const binary = (block: Buffer, from: number, to: number): number => {
  const lead = block[from] as number;
  let value = (lead & NEGATIVE) === 0 ? lead & ~BINARY : lead - 0x100;
  for (let at = from + 1; at < to; at += 1) value = value * 0x100 + (block[at] as number);
  return value;
};

const blockNumber = (block: Buffer, from: number, to: number): number => {
  const value = ((block[from] as number) & BINARY) === 0 ? octal(block, from, to) : binary(block, from, to);
  if (value === undefined || !Number.isSafeInteger(value))
    throw invalid(`a number at byte ${String(from)} is unreadable`);
  return value;
};

/** A number that counts something. */
export const blockCount = (block: Buffer, from: number, to: number): number => {
  const value = blockNumber(block, from, to);
  if (value < 0) throw invalid(`the number at byte ${String(from)} is negative`);
  return value;
};

/** Only POSIX archives have a prefix; GNU ones keep times there, and star's a shorter one. */
const prefix = (block: Buffer): string => {
  if (block[345] === NUL || block.toString('latin1', 257, 263) !== 'ustar\0') return '';
  const star = block.toString('latin1', 508, 512) === 'tar\0';
  const value = text(block, 345, star ? 476 : 500);
  return value === '' ? '' : `${value}/`;
};

/** True for the all-zero blocks that end an archive. */
export const isZeroBlock = (block: Buffer): boolean => block[0] === 0 && block.every((byte) => byte === 0);

/** The sum of all bytes, those of the sum itself taken as spaces. Old programs added signed bytes. */
const hasChecksum = (block: Buffer): boolean => {
  let [unsigned, signed] = [0, 0];
  for (let at = 0; at < BLOCK; at += 1) {
    const byte = at >= CHECKSUM_FROM && at < CHECKSUM_TO ? SPACE : (block[at] as number);
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  const sum = octal(block, CHECKSUM_FROM, CHECKSUM_TO);
  return sum === unsigned || sum === signed;
};

/** What there is to know of the header of an extension, whose other fields mean nothing. */
export const decodeTypeAndSize = (block: Buffer): Pick<Block, 'typeFlag' | 'size'> => {
  if (!hasChecksum(block)) throw invalid('checksum does not match');
  return { typeFlag: String.fromCharCode(block[156] ?? 0), size: blockCount(block, 124, 136) };
};

/** Decodes a header. node-tar's codec would lose names that are not UTF-8, times before 1970 and GNU device numbers. */
export const decodeBlock = (block: Buffer): Block => {
  const { typeFlag, size } = decodeTypeAndSize(block);
  return {
    typeFlag,
    name: prefix(block) + text(block, 0, 100),
    linkName: text(block, 157, 257),
    mode: blockNumber(block, 100, 108) & 0o7777,
    uid: blockCount(block, 108, 116),
    gid: blockCount(block, 116, 124),
    size,
    mtimeNs: BigInt(blockNumber(block, 136, 148)) * 1_000_000_000n,
    // Old programs leave anything there.
    devMajor: deviceNumber(block, 329, 337),
    devMinor: deviceNumber(block, 337, 345),
  };
};

const deviceNumber = (block: Buffer, from: number, to: number): number => {
  if (block[156] !== 0x33 && block[156] !== 0x34) return 0;
  return octal(block, from, to) ?? 0;
};
