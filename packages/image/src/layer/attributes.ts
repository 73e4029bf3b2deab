import { chmodSync, closeSync, constants, fchmodSync, fchownSync } from 'node:fs';

import {
  AT_SYMLINK_NOFOLLOW,
  fchmodat,
  fchownat,
  fsetxattr,
  hasCode,
  lsetxattr,
  O_PATH,
  openat2,
  utimensat,
  type FileBatch,
} from '@tsc/sys';

import type { TarEntry } from '../tar/entry.ts';
import { ONE_COMPONENT } from './directory-tree.ts';

export interface Times {
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
}

export const timesOf = (entry: TarEntry): Times => ({
  atimeNs: entry.atimeNs ?? entry.mtimeNs,
  mtimeNs: entry.mtimeNs,
});

/** overlayfs's own attributes would let a layer point the kernel elsewhere; SELinux labels belong to the host. */
const isForeignXattr = (name: string): boolean =>
  name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.') || name === 'security.selinux';

function* ownXattrs(entry: TarEntry): Generator<readonly [string, Buffer], void, void> {
  for (const xattr of entry.xattrs) if (!isForeignXattr(xattr[0])) yield xattr;
}

// Everywhere the owner first: changing it clears set-id bits and capabilities.

/** The last operations on a regular file that is open. */
export const describeFile = (batch: FileBatch, entry: TarEntry): void => {
  if (entry.extents !== undefined) batch.ftruncate(entry.size);
  batch.fchown(entry.uid, entry.gid);
  batch.fchmod(entry.mode);
  if (entry.xattrs.size > 0) for (const [key, value] of ownXattrs(entry)) batch.fsetxattr(key, value);
  batch.futimens(timesOf(entry));
  batch.close();
};

/** Owner, mode, attributes and times of what was just made at a name; a directory's times come last of all. */
export const describeMade = (parentFd: number, name: string, entry: TarEntry): void => {
  fchownat(parentFd, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW);
  if (entry.type !== 'symlink') changeMode(parentFd, name, entry.mode);
  const path = `/proc/self/fd/${String(parentFd)}/${name}`;
  if (entry.xattrs.size > 0) for (const [key, value] of ownXattrs(entry)) lsetxattr(path, key, value);
  if (entry.type !== 'directory') utimensat(parentFd, name, timesOf(entry), AT_SYMLINK_NOFOLLOW);
};

export const describeOpen = (fd: number, entry: TarEntry): void => {
  fchownSync(fd, entry.uid, entry.gid);
  fchmodSync(fd, entry.mode);
  for (const [key, value] of ownXattrs(entry)) fsetxattr(fd, key, value);
};

/** Never follows a link: what was made a moment ago may be one now, where the tree is not ours alone. */
const changeMode = (parentFd: number, name: string, mode: number): void => {
  try {
    fchmodat(parentFd, name, mode, AT_SYMLINK_NOFOLLOW);
    return;
  } catch (error) {
    // Before Linux 6.6 the call has no flags.
    if (!hasCode(error, 'ENOSYS')) throw error;
  }
  const fd = openat2(parentFd, name, { flags: O_PATH | constants.O_NOFOLLOW, resolve: ONE_COMPONENT });
  try {
    chmodSync(`/proc/self/fd/${String(fd)}`, mode);
  } finally {
    closeSync(fd);
  }
};
