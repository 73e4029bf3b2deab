import { native } from './binding.ts';

/** The current directory, where a call takes a directory descriptor. */
export const AT_FDCWD: number = -100;
export const AT_SYMLINK_NOFOLLOW: number = 0x100;
export const AT_REMOVEDIR: number = 0x200;
export const AT_SYMLINK_FOLLOW: number = 0x400;
export const AT_EMPTY_PATH: number = 0x1000;
export const AT_RECURSIVE: number = 0x8000;

export const O_PATH: number = 0o10000000;
export const O_CLOEXEC: number = 0o2000000;
export const O_TMPFILE: number = 0o20200000;

/** Flags of {@link openat2}'s `resolve`, which keep a path below a directory that somebody else filled. */
export const RESOLVE_NO_XDEV: number = 0x01;
export const RESOLVE_NO_MAGICLINKS: number = 0x02;
export const RESOLVE_NO_SYMLINKS: number = 0x04;
export const RESOLVE_BENEATH: number = 0x08;
export const RESOLVE_IN_ROOT: number = 0x10;

export const RENAME_NOREPLACE: number = 1;
export const RENAME_EXCHANGE: number = 2;
export const RENAME_WHITEOUT: number = 4;

export const LOCK_SH: number = 1;
export const LOCK_EX: number = 2;
export const LOCK_NB: number = 4;
export const LOCK_UN: number = 8;

export const MFD_CLOEXEC: number = 1;
export const MFD_ALLOW_SEALING: number = 2;
export const MFD_EXEC: number = 0x10;
export const F_GETFD: number = 1;
export const F_DUPFD_CLOEXEC: number = 1030;
export const F_SETFD: number = 2;
export const F_GETFL: number = 3;
export const F_SETFL: number = 4;
export const F_ADD_SEALS: number = 1033;
/** Every seal: the file can neither shrink, grow, change nor lose a seal. */
export const F_SEAL_ALL: number = 0x1f & ~0x10;

/** What `statx` tells, with the 64-bit fields whole. */
export interface Stat {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: bigint;
  /** Size in bytes; files past 2⁵³ bytes do not exist on the file systems we meet. */
  readonly size: number;
  /** Allocated size in units of 512 bytes. */
  readonly blocks: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The mount the file was reached through; differs on both sides of a mount point. */
  readonly mountId: number;
}

/**
 * Opens a file, with O_CLOEXEC always added. With `RESOLVE_IN_ROOT`, `..`, absolute names and symbolic links all stay
 * below `dirfd`, whoever changes the tree meanwhile.
 *
 * @see https://man7.org/linux/man-pages/man2/openat2.2.html
 */
export const openat2 = (
  dirfd: number,
  pathname: string,
  how: { readonly flags: number; readonly mode?: number | undefined; readonly resolve?: number | undefined },
): number => native().openat2(dirfd, pathname, how.flags, how.mode ?? 0, how.resolve ?? 0);

export const mkdirat = (dirfd: number, pathname: string, mode: number): void => {
  native().mkdirat(dirfd, pathname, mode);
};

/** Makes a device, FIFO or socket node; `mode` carries the type (`S_IFCHR | 0o666`). */
export const mknodat = (
  dirfd: number,
  pathname: string,
  mode: number,
  dev: { readonly major: number; readonly minor: number } = { major: 0, minor: 0 },
): void => {
  native().mknodat(dirfd, pathname, mode, dev.major, dev.minor);
};

export const symlinkat = (target: string, newdirfd: number, linkpath: string): void => {
  native().symlinkat(target, newdirfd, linkpath);
};

export const linkat = (olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void => {
  native().linkat(olddirfd, oldpath, newdirfd, newpath, flags);
};

export const unlinkat = (dirfd: number, pathname: string, flags: number): void => {
  native().unlinkat(dirfd, pathname, flags);
};

export const renameat2 = (
  olddirfd: number,
  oldpath: string,
  newdirfd: number,
  newpath: string,
  flags: number,
): void => {
  native().renameat2(olddirfd, oldpath, newdirfd, newpath, flags);
};

export const readlinkat = (dirfd: number, pathname: string): string => native().readlinkat(dirfd, pathname);

export const fchownat = (dirfd: number, pathname: string, owner: number, group: number, flags: number): void => {
  native().fchownat(dirfd, pathname, owner, group, flags);
};

/** `fchmodat2`, so AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH work (Linux 6.6). */
export const fchmodat = (dirfd: number, pathname: string, mode: number, flags: number): void => {
  native().fchmodat(dirfd, pathname, mode, flags);
};

const NS = 1_000_000_000n;

/** Whole seconds and nanoseconds from 0 to 10⁹, as the kernel wants them before 1970 too. */
export const splitNs = (ns: bigint): readonly [seconds: bigint, nanoseconds: number] => {
  const rest = ns % NS;
  return rest < 0n ? [ns / NS - 1n, Number(rest + NS)] : [ns / NS, Number(rest)];
};

export const utimensat = (
  dirfd: number,
  pathname: string,
  times: { readonly atimeNs: bigint; readonly mtimeNs: bigint },
  flags: number,
): void => {
  native().utimensat(dirfd, pathname, ...splitNs(times.atimeNs), ...splitNs(times.mtimeNs), flags);
};

/** `statx` with every basic field and the mount id. With `AT_EMPTY_PATH` and `''` it describes `dirfd` itself. */
export const statx = (dirfd: number, pathname: string, flags: number): Stat => native().statx(dirfd, pathname, flags);

/** The file system's magic number, e.g. `0x9fa0` for procfs. */
export const fstatfsType = (fd: number): number => native().fstatfsType(fd);

export const getxattr = (path: string, name: string): Buffer => native().getxattr(path, name);
export const lgetxattr = (path: string, name: string): Buffer => native().lgetxattr(path, name);
export const fgetxattr = (fd: number, name: string): Buffer => native().fgetxattr(fd, name);
export const setxattr = (path: string, name: string, value: Uint8Array, flags: number = 0): void => {
  native().setxattr(path, name, value, flags);
};
export const lsetxattr = (path: string, name: string, value: Uint8Array, flags: number = 0): void => {
  native().lsetxattr(path, name, value, flags);
};
export const fsetxattr = (fd: number, name: string, value: Uint8Array, flags: number = 0): void => {
  native().fsetxattr(fd, name, value, flags);
};
export const llistxattr = (path: string): readonly string[] => native().llistxattr(path);
export const flistxattr = (fd: number): readonly string[] => native().flistxattr(fd);
export const lremovexattr = (path: string, name: string): void => {
  native().lremovexattr(path, name);
};

/** Locks an open file. Blocks the event loop unless LOCK_NB is given, so give it. */
export const flock = (fd: number, operation: number): void => {
  native().flock(fd, operation);
};

/** Writes all of a file system to its disk; `fd` is any descriptor on it. May take seconds: see {@link syncfsInPool}. */
export const syncfs = (fd: number): void => {
  native().syncfs(fd);
};

/** Copies bytes in the kernel from `fdIn` to `fdOut` at their own offsets; returns how many (0 at the end). */
export const copy_file_range = (fdIn: number, fdOut: number, len: number): number =>
  native().copy_file_range(fdIn, fdOut, len);

export const memfd_create = (name: string, flags: number): number => native().memfd_create(name, flags);
export const fcntl = (fd: number, cmd: number, arg: number = 0): number => native().fcntl(fd, cmd, arg);

/** An ioctl whose argument is a number, or a buffer that the kernel reads and writes in place. */
export const ioctl = (fd: number, request: number, arg: number | Uint8Array): number =>
  native().ioctl(fd, request, arg);
