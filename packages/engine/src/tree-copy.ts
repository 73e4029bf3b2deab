import { closeSync, constants, fchownSync, fchmodSync, readSync, readdirSync, writeSync } from 'node:fs';

import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  copy_file_range,
  fchownat,
  flistxattr,
  fgetxattr,
  fsetxattr,
  hasCode,
  mkdirat,
  mknodat,
  openat2,
  readlinkat,
  statx,
  symlinkat,
  utimensat,
} from '@tsc/sys';
import type { Stat } from '@tsc/sys';

const COPY_BYTES = 16 * 1024 ** 2;
const BUFFER_BYTES = 256 * 1024;
const S_IFMT = 0o170000;
const TYPES = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const;

/** One name in two directories: always a single component, so no link can lead either side astray. */
interface Place {
  readonly from: number;
  readonly to: number;
  readonly name: string;
}

const open = (dir: number, name: string, how: { readonly flags: number; readonly mode?: number }): number =>
  openat2(dir, name, { ...how, flags: how.flags | constants.O_NOFOLLOW });

function using<T>(fd: number, act: (fd: number) => T): T {
  try {
    return act(fd);
  } finally {
    closeSync(fd);
  }
}

/** Between file systems of two kinds (an overlay and what volumes lie on) the kernel leaves the copying to us. */
function copyBytes(from: number, to: number): void {
  try {
    while (copy_file_range(from, to, COPY_BYTES) > 0);
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EINVAL', 'EOPNOTSUPP')) throw error;
    copyThrough(from, to, Buffer.alloc(BUFFER_BYTES));
  }
}

function copyThrough(from: number, to: number, buffer: Buffer): void {
  for (let count; (count = readSync(from, buffer, 0, buffer.length, null)) > 0;) {
    for (let at = 0; at < count;) at += writeSync(to, buffer, at, count - at, null);
  }
}

function copyAttributes(from: number, to: number): void {
  for (const name of flistxattr(from)) {
    if (name.startsWith('trusted.overlay.')) continue;
    try {
      fsetxattr(to, name, fgetxattr(from, name));
    } catch (error) {
      if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    }
  }
}

/** Owner before mode: a change of owner clears the set-id bits. Times last: everything else changes them. */
function finish({ to, name }: Place, fd: number, stat: Stat): void {
  fchownSync(fd, stat.uid, stat.gid);
  fchmodSync(fd, stat.mode & 0o7777);
  utimensat(to, name, { atimeNs: stat.atimeNs, mtimeNs: stat.mtimeNs }, AT_SYMLINK_NOFOLLOW);
}

function copyDirectory(place: Place, stat: Stat): void {
  mkdirat(place.to, place.name, 0o700);
  using(open(place.from, place.name, { flags: constants.O_RDONLY | constants.O_DIRECTORY }), (from) => {
    using(open(place.to, place.name, { flags: constants.O_RDONLY | constants.O_DIRECTORY }), (to) => {
      copyChildren(from, to);
      copyAttributes(from, to);
      finish(place, to, stat);
    });
  });
}

function copyFile(place: Place, stat: Stat): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  using(open(place.from, place.name, { flags: constants.O_RDONLY }), (from) => {
    using(open(place.to, place.name, { flags, mode: 0o600 }), (to) => {
      copyBytes(from, to);
      copyAttributes(from, to);
      finish(place, to, stat);
    });
  });
}

function copyOther(place: Place, stat: Stat): void {
  const { from, to, name } = place;
  if ((stat.mode & S_IFMT) === TYPES.link) symlinkat(readlinkat(from, name), to, name);
  else mknodat(to, name, stat.mode, { major: stat.rdevMajor, minor: stat.rdevMinor });
  fchownat(to, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW);
  utimensat(to, name, { atimeNs: stat.atimeNs, mtimeNs: stat.mtimeNs }, AT_SYMLINK_NOFOLLOW);
}

/** Copies everything in the directory `from` into the directory `to`: owners, modes, times, links, devices, attributes. */
export function copyChildren(from: number, to: number): void {
  for (const name of readdirSync(`/proc/self/fd/${String(from)}`)) {
    const place = { from, to, name };
    const stat = statx(from, name, AT_SYMLINK_NOFOLLOW);
    const type = stat.mode & S_IFMT;
    if (type === TYPES.directory) copyDirectory(place, stat);
    else if (type === TYPES.file) copyFile(place, stat);
    else copyOther(place, stat);
  }
}

/** The same owner and mode for `to` as `from` has; both directories. */
export function copyOwnership(from: number, to: number): void {
  const stat = statx(from, '', AT_EMPTY_PATH);
  fchownSync(to, stat.uid, stat.gid);
  fchmodSync(to, stat.mode & 0o7777);
}
