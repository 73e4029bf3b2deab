import { Header } from 'tar/header';

import { ImageError, quote } from '../errors.ts';
import { BLOCK } from './block.ts';
import { formatPax, formatPaxTime, paxXattrKey } from './pax.ts';
import type { TarEntryType } from './entry.ts';

/** A member to write; its data follows as plain bytes. */
export interface TarMember {
  readonly type: TarEntryType;
  /** Relative, without a trailing slash; '' is the root. */
  readonly name: string;
  readonly linkName?: string | undefined;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly xattrs?: ReadonlyMap<string, Buffer> | undefined;
  readonly devMajor?: number | undefined;
  readonly devMinor?: number | undefined;
}

const CODES = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const;
const SIZE_MAX = 0o77777777777;
const ID_MAX = 0o7777777;
const NAME_MAX = 100;
const NS = 1_000_000_000n;

const encode = (fields: ConstructorParameters<typeof Header>[0], typeFlag: string): Buffer => {
  const block = Buffer.alloc(BLOCK);
  const header = new Header(fields);
  header.type = typeFlag as 'x';
  header.encode(block);
  return block;
};

const isPlain = (text: string): boolean => text.length <= NAME_MAX && /^[\x20-\x7e]*$/.test(text);

const wholeSeconds = (ns: bigint): bigint => (ns - (((ns % NS) + NS) % NS)) / NS;

/** What the 512 bytes can't say exactly goes into PAX records, and only that, so that ordinary members stay small. */
const paxOf = (member: TarMember, name: string): ReadonlyMap<string, string | Buffer> => {
  const records = new Map<string, string | Buffer>();
  const linkName = member.linkName ?? '';
  if (!isPlain(name)) records.set('path', name);
  if (!isPlain(linkName)) records.set('linkpath', linkName);
  if (member.size > SIZE_MAX) records.set('size', String(member.size));
  if (member.uid > ID_MAX) records.set('uid', String(member.uid));
  if (member.gid > ID_MAX) records.set('gid', String(member.gid));
  const isOrdinaryTime = member.mtimeNs % NS === 0n && member.mtimeNs >= 0n && member.mtimeNs / NS <= BigInt(SIZE_MAX);
  if (!isOrdinaryTime) records.set('mtime', formatPaxTime(member.mtimeNs));
  for (const [key, value] of member.xattrs ?? []) records.set(paxXattrKey(key), value);
  return records;
};

/** A name cut to fit the old field, which readers of the PAX record never look at. */
const short = (text: string): string =>
  text
    .replace(/[^\x20-\x7e]/g, '_')
    .slice(-NAME_MAX)
    .replace(/^\/+/, '');

const clamp = (value: number, max: number): number => (value > max ? 0 : value);

/** The header of a member: one block, or three and more with PAX records. */
export const encodeHeader = (member: TarMember): Buffer => {
  const base = member.name === '' ? '.' : member.name;
  const name = member.type === 'directory' ? `${base}/` : base;
  if (name.includes('\0') || member.linkName?.includes('\0') === true)
    throw new ImageError('LAYER_INVALID', `cannot archive ${quote(name)}: its name has a NUL`);
  const records = paxOf(member, name);
  const seconds = wholeSeconds(member.mtimeNs);
  const isOrdinary = seconds >= 0n && seconds <= BigInt(SIZE_MAX);
  const block = encode(
    {
      path: isPlain(name) ? name : short(name),
      linkpath: isPlain(member.linkName ?? '') ? (member.linkName ?? '') : short(member.linkName ?? ''),
      mode: member.mode & 0o7777,
      uid: clamp(member.uid, ID_MAX),
      gid: clamp(member.gid, ID_MAX),
      size: clamp(member.size, SIZE_MAX),
      mtime: new Date(isOrdinary ? Number(seconds) * 1000 : 0),
      devmaj: member.devMajor ?? 0,
      devmin: member.devMinor ?? 0,
    },
    CODES[member.type],
  );
  return records.size === 0 ? block : Buffer.concat([extension(formatPax(records), name), block]);
};

const extension = (body: Buffer, name: string): Buffer => {
  const header = encode(
    {
      path: `PaxHeaders/${short(name).slice(-80).replace(/\/+$/, '')}`,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: body.length,
      mtime: new Date(0),
    },
    'x',
  );
  return Buffer.concat([header, body, padding(body.length)]);
};

/** Zeros up to the next block. */
export const padding = (bytes: number): Buffer => Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);

/** Two zero blocks. */
export const TRAILER: Buffer = Buffer.alloc(2 * BLOCK);
