import { closeSync, constants } from 'node:fs';
import { basename, dirname } from 'node:path/posix';
import type { Readable } from 'node:stream';

import { packArchive, unpackArchive } from '@tsc/image';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_PATH, hasCode, readlinkat, statx } from '@tsc/sys';
import type { Stat } from '@tsc/sys';

import type { PathStat } from './api.ts';
import { openBelow } from './container-root.ts';
import { EngineError } from './errors.ts';

const TYPES: ReadonlyMap<number, PathStat['type']> = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
]);
const NOT_THERE = ['ENOENT', 'ENOTDIR', 'ELOOP'] as const;

const typeOf = (stat: Stat): PathStat['type'] => TYPES.get(stat.mode & 0o170000) ?? 'other';

const noSuchPath = (path: string): EngineError =>
  new EngineError('ENGINE_NO_SUCH_PATH', `could not find the file ${path} in container`, { path });

/** The directory that holds a path's last component, opened below the root; the component is not followed. */
function openParent(rootFd: number, path: string): number {
  try {
    return openBelow(rootFd, dirname(path), O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    if (hasCode(error, ...NOT_THERE)) throw noSuchPath(path);
    throw error;
  }
}

/** `/` and `/a/..` have no last component of their own. */
const lastName = (path: string): string => {
  const name = basename(path);
  return name === '' || name === '..' ? '.' : name;
};

/** What is at a path of the container; a link at its end is not followed, links on the way are, below the root. */
export function statBelow(rootFd: number, path: string): PathStat | undefined {
  let parent: number;
  try {
    parent = openBelow(rootFd, dirname(path), O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    if (hasCode(error, ...NOT_THERE)) return undefined;
    throw error;
  }
  try {
    const name = lastName(path);
    const stat = name === '.' ? statx(parent, '', AT_EMPTY_PATH) : statx(parent, name, AT_SYMLINK_NOFOLLOW);
    const type = typeOf(stat);
    const linkTarget = type === 'symlink' ? readlinkat(parent, name) : undefined;
    return { name, type, sizeBytes: stat.size, mode: stat.mode & 0o7777, linkTarget };
  } catch (error) {
    if (hasCode(error, ...NOT_THERE)) return undefined;
    throw error;
  } finally {
    closeSync(parent);
  }
}

/** A directory by a name that goes through a descriptor, so that no component of it can be swapped. */
const throughDescriptor = (fd: number): string => `/proc/self/fd/${String(fd)}/.`;

/** Packs the file or directory at a path, named by its last component. Calls `release` when it is done, or can't begin. */
export function packBelow(rootFd: number, path: string, release: () => void): Readable {
  using undo = new DisposableStack();
  undo.defer(release);
  const parent = undo.adopt(openParent(rootFd, path), closeSync);
  const stream = packPath(parent, { name: lastName(path), rootFd, path });
  const kept = undo.move();
  stream.once('close', () => {
    kept.dispose();
  });
  return stream;
}

/** Packs the whole root, without what is mounted in it. */
export function packRoot(rootFd: number, release: () => void): Readable {
  const fd = openBelow(rootFd, '/', constants.O_RDONLY | constants.O_DIRECTORY);
  const archive = packArchive(throughDescriptor(fd), { oneMount: true });
  archive.once('close', () => {
    closeSync(fd);
    release();
  });
  return archive;
}

function packPath(
  parent: number,
  { name, rootFd, path }: { readonly name: string; readonly rootFd: number; readonly path: string },
): Readable {
  const stat = name === '.' ? statx(parent, '', AT_EMPTY_PATH) : statx(parent, name, AT_SYMLINK_NOFOLLOW);
  const type = typeOf(stat);
  const common = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtimeNs: stat.mtimeNs, name };
  if (type === 'directory') {
    const fd = openBelow(rootFd, path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const packed = packArchive(throughDescriptor(fd), name === '.' ? {} : { targetPath: name });
    packed.once('close', () => {
      closeSync(fd);
    });
    return packed;
  }
  if (type === 'symlink') {
    return packArchive([{ ...common, type: 'symlink', size: 0, linkName: readlinkat(parent, name) }]);
  }
  if (type !== 'file')
    throw new EngineError('ENGINE_NO_SUCH_PATH', `cannot copy ${path}: it is no file, link or directory`);
  // By its parent's descriptor and one name, which the packer doesn't follow.
  return packArchive([{ ...common, type: 'file', size: stat.size, path: `/proc/self/fd/${String(parent)}/${name}` }]);
}

export interface UnpackRequest {
  readonly rootFd: number;
  readonly directory: string;
  /** Everything becomes root's, whoever owned it where it came from. */
  readonly asRoot: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Unpacks an archive into a directory of the container; nothing outside that directory is written. */
export async function unpackBelow(
  archive: Readable,
  { rootFd, directory, asRoot, signal }: UnpackRequest,
): Promise<void> {
  let fd: number;
  try {
    fd = openBelow(rootFd, directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (hasCode(error, 'ENOTDIR')) {
      throw new EngineError('ENGINE_NO_SUCH_PATH', `not a directory: ${directory}`, { path: directory });
    }
    if (hasCode(error, ...NOT_THERE)) throw noSuchPath(directory);
    throw error;
  }
  try {
    await unpackArchive(archive, throughDescriptor(fd), { signal, owner: asRoot ? { uid: 0, gid: 0 } : undefined });
  } finally {
    closeSync(fd);
  }
}
