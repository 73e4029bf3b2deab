import { ImageError, quote } from '../errors.ts';
import { decodeName, encodeName } from './name.ts';

/** The records of a PAX extended header. Values stay bytes: extended attributes are binary. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

const XATTR_PREFIX = 'SCHILY.xattr.';
/** GNU's sparse format 0.0 repeats these keys; each pair is kept, in the form of format 0.1. */
const SPARSE_PAIR = new Set(['GNU.sparse.offset', 'GNU.sparse.numbytes']);
const SPARSE_MAP = 'GNU.sparse.map';
/** Of nearly every member. */
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

const invalid = (why: string): ImageError => new ImageError('LAYER_INVALID', `invalid PAX header: ${why}`);

/**
 * Reads `length key=value\n` records.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
 */
export const parsePax = (bytes: Buffer): PaxRecords => {
  const records = new Map<string, Buffer>();
  const pairs: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 8 ? '' : bytes.toString('latin1', at, space);
    if (!/^[1-9][0-9]*$/.test(digits)) throw invalid('a record has no length');
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    if (end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end) throw invalid('a record is cut');
    const key = decodeName(bytes.subarray(space + 1, equals));
    const value = bytes.subarray(equals + 1, end - 1);
    if (SPARSE_PAIR.has(key)) pairs.push(value.toString('latin1'));
    else records.set(key, value);
    at = end;
  }
  if (pairs.length > 0) records.set(SPARSE_MAP, Buffer.from(pairs.join(',')));
  return records;
};

/** A name or link target; the kernel's names stop at NUL, so one inside is a trick. */
export const paxText = (records: PaxRecords, key: string): string | undefined => {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  if (value.includes(0)) throw invalid(`${key} contains a NUL`);
  return decodeName(value);
};

export const paxInteger = (records: PaxRecords, key: string): number | undefined => {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const text = value.toString('latin1');
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw invalid(`${key} is ${quote(text)}`);
  return Number(text);
};

/** Seconds with a decimal fraction, to nanoseconds. */
export const paxTimeNs = (records: PaxRecords, key: string): bigint | undefined => {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const match = /^(-?)([0-9]{1,12})(?:\.([0-9]{0,20}))?$/.exec(value.toString('latin1'));
  if (match === null) throw invalid(`${key} is ${quote(value.toString('latin1'))}`);
  const [, sign, seconds = '0', fraction = ''] = match;
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
  return sign === '-' ? -ns : ns;
};

export const paxXattrs = (records: PaxRecords): ReadonlyMap<string, Buffer> => {
  let xattrs: Map<string, Buffer> | undefined;
  for (const [key, value] of records) {
    if (key.startsWith(XATTR_PREFIX)) (xattrs ??= new Map()).set(xattrName(key), Buffer.from(value));
  }
  return xattrs ?? NO_XATTRS;
};

/** `SCHILY.xattr.user.x` for `user.x`; as in GNU tar, a key is escaped where it would end the key of a record. */
export const paxXattrKey = (name: string): string =>
  XATTR_PREFIX + name.replace(/[%=]/g, (character) => (character === '%' ? '%25' : '%3D'));

const xattrName = (key: string): string =>
  key.slice(XATTR_PREFIX.length).replace(/%25|%3D/g, (escape) => (escape === '%25' ? '%' : '='));

export const formatPaxTime = (ns: bigint): string => {
  const magnitude = ns < 0n ? -ns : ns;
  const fraction = String(magnitude % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${String(magnitude / 1_000_000_000n)}${fraction === '' ? '' : `.${fraction}`}`;
};

/** Writes records sorted by key, so that equal input gives equal bytes. */
export const formatPax = (records: ReadonlyMap<string, string | Buffer>): Buffer =>
  Buffer.concat(
    [...records]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => formatRecord(key, typeof value === 'string' ? encodeName(value) : value)),
  );

const formatRecord = (key: string, value: Buffer): Buffer => {
  const body = Buffer.concat([encodeName(` ${key}=`), value, Buffer.from('\n')]);
  // The length counts its own digits.
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
};
