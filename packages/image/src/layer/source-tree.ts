import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  type BigIntStats,
} from 'node:fs';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, hasCode, lgetxattr, llistxattr, statx } from '@tsc/sys';

import { ImageError, quote } from '../errors.ts';
import type { TarEntryType } from '../tar/entry.ts';
import { decodeName, encodeName } from '../tar/name.ts';
import type { TarMember } from '../tar/writer.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteout.ts';

/** A member and where its bytes are; `path` is valid until the walk goes on. */
export interface SourceMember extends TarMember {
  readonly content?: Buffer | undefined;
  readonly path?: string | undefined;
}

export interface WalkOptions {
  /** The directory is an upper one of overlayfs: devices 0:0 and opaque attributes are whiteouts. */
  readonly overlay?: boolean | undefined;
  /** What is mounted in the directory is left out: of a directory only the place is kept, in the form of the mount's root. */
  readonly oneMount?: boolean | undefined;
}

const TYPES: ReadonlyMap<number, TarEntryType> = new Map([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFCHR, 'character'],
  [constants.S_IFBLK, 'block'],
  [constants.S_IFIFO, 'fifo'],
]);
const OPAQUE = 'trusted.overlay.opaque';
const REDIRECT = 'trusted.overlay.redirect';

/** glibc's `makedev`, backwards. */
const major = (rdev: bigint): number => Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n));
const minor = (rdev: bigint): number => Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n));

/** A path for Node's functions, which would change one that is not UTF-8. */
export const pathOf = (path: string): string | Buffer => (path.isWellFormed() ? path : encodeName(path));

/**
 * Walks a directory, parents before children, children in the order of their bytes. On Linux each directory is held
 * open and its children are reached through the descriptor, so somebody who swaps a directory for a link meanwhile
 * leads the walk nowhere.
 */
export function* walkDirectory(dir: string, options: WalkOptions = {}): Generator<SourceMember, void, void> {
  const firstNames = new Map<string, string>();
  const mountId = options.oneMount === true ? statx(AT_FDCWD, `${dir}/.`, 0).mountId : undefined;
  yield* walk(dir, '', { ...options, firstNames, mountId });
}

interface WalkState extends WalkOptions {
  readonly firstNames: Map<string, string>;
  /** Where to stay. */
  readonly mountId: number | undefined;
}

function* walk(path: string, name: string, state: WalkState): Generator<SourceMember, void, void> {
  const noFollow = name === '' ? 0 : constants.O_NOFOLLOW;
  const fd = openSync(pathOf(path), constants.O_RDONLY | constants.O_DIRECTORY | noFollow);
  try {
    const here = process.platform === 'linux' ? `/proc/self/fd/${String(fd)}` : path;
    const xattrs = readXattrs(`${here}/.`, 'directory');
    if (state.overlay === true && xattrs.has(REDIRECT)) {
      throw new ImageError(
        'LAYER_INVALID',
        `cannot archive ${quote(name)}: overlayfs redirects it; mount with redirect_dir=off`,
        { path: name },
      );
    }
    yield { ...common(fstatSync(fd, { bigint: true })), type: 'directory', name, size: 0, xattrs: exported(xattrs) };
    if (state.overlay === true && xattrs.get(OPAQUE)?.toString() === 'y') yield whiteout(name, OPAQUE_NAME);
    if (isElsewhere(`${here}/.`, state)) return;
    const children = readdirSync(here, { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b));
    for (const child of children.map(decodeName))
      yield* visit(`${here}/${child}`, name === '' ? child : `${name}/${child}`, state);
  } finally {
    closeSync(fd);
  }
}

function* visit(path: string, name: string, state: WalkState): Generator<SourceMember, void, void> {
  const stat = lstatSync(pathOf(path), { bigint: true });
  const type = TYPES.get(Number(stat.mode) & constants.S_IFMT);
  // Sockets mean nothing without the process that listens; tar programs leave them out, too.
  if (type === undefined) return;
  if (type === 'directory') {
    yield* walk(path, name, state);
    return;
  }
  if (isElsewhere(path, state)) return;
  if (state.overlay === true && type === 'character' && stat.rdev === 0n) {
    const slash = name.lastIndexOf('/');
    yield whiteout(name.slice(0, Math.max(slash, 0)), WHITEOUT_PREFIX + name.slice(slash + 1));
    return;
  }
  yield leaf(path, name, { type, stat, firstNames: state.firstNames });
}

const isElsewhere = (path: string, { mountId }: WalkState): boolean =>
  mountId !== undefined && statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW).mountId !== mountId;

const leaf = (
  path: string,
  name: string,
  {
    type,
    stat,
    firstNames,
  }: { readonly type: TarEntryType; readonly stat: BigIntStats; readonly firstNames: Map<string, string> },
): SourceMember => {
  const inode = `${String(stat.dev)}:${String(stat.ino)}`;
  const first = stat.nlink > 1n ? firstNames.get(inode) : undefined;
  if (first !== undefined) return { ...common(stat), type: 'hardlink', name, linkName: first, size: 0 };
  if (stat.nlink > 1n) firstNames.set(inode, name);
  const member = { ...common(stat), type, name, size: 0, xattrs: exported(readXattrs(path, type)) };
  if (type === 'file') return { ...member, size: Number(stat.size), path };
  if (type === 'symlink') return { ...member, linkName: decodeName(readlinkSync(pathOf(path), 'buffer')) };
  return { ...member, devMajor: major(stat.rdev), devMinor: minor(stat.rdev) };
};

const common = (stat: BigIntStats): Pick<TarMember, 'mode' | 'uid' | 'gid' | 'mtimeNs'> => ({
  mode: Number(stat.mode) & 0o7777,
  uid: Number(stat.uid),
  gid: Number(stat.gid),
  mtimeNs: stat.mtimeNs,
});

const whiteout = (parent: string, name: string): SourceMember => ({
  type: 'file',
  name: parent === '' ? name : `${parent}/${name}`,
  mode: 0o600,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
});

const readXattrs = (path: string, type: TarEntryType): ReadonlyMap<string, Buffer> => {
  if (process.platform !== 'linux' || type === 'symlink') return new Map();
  try {
    return new Map([...llistxattr(path)].sort().map((key) => [key, lgetxattr(path, key)]));
  } catch (error) {
    if (hasCode(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENODATA')) return new Map();
    throw error;
  }
};

/** Attributes of files, not of the file system or host that they happen to be on. */
const exported = (xattrs: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> =>
  new Map(
    [...xattrs].filter(
      ([key]) => key === 'security.capability' || (key.startsWith('user.') && !key.startsWith('user.overlay.')),
    ),
  );
