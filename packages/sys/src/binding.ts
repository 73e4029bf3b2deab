import { createRequire } from 'node:module';

import type { SysError } from './errors.ts';
import type { Stat } from './file.ts';
import type { SpawnedProcess, WaitResult } from './process.ts';
import type { ReceivedMessage } from './socket.ts';

/** What `run_file_batch` resolves to: operations done, where the next one is, and the descriptor that is open or -1. */
export interface FileBatchAnswer {
  readonly done: number;
  readonly at: number;
  readonly fd: number;
  readonly error?: SysError;
}

/** The addon's functions, as `native/addon` exports them: positional, in the man page's order. */
export interface Native {
  openat2(dirfd: number, pathname: string, flags: number, mode: number, resolve: number): number;
  mkdirat(dirfd: number, pathname: string, mode: number): void;
  mknodat(dirfd: number, pathname: string, mode: number, major: number, minor: number): void;
  symlinkat(target: string, newdirfd: number, linkpath: string): void;
  linkat(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void;
  unlinkat(dirfd: number, pathname: string, flags: number): void;
  renameat2(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void;
  readlinkat(dirfd: number, pathname: string): string;
  fchownat(dirfd: number, pathname: string, owner: number, group: number, flags: number): void;
  fchmodat(dirfd: number, pathname: string, mode: number, flags: number): void;
  utimensat(
    dirfd: number,
    pathname: string,
    atimeSeconds: bigint,
    atimeNanoseconds: number,
    mtimeSeconds: bigint,
    mtimeNanoseconds: number,
    flags: number,
  ): void;
  statx(dirfd: number, pathname: string, flags: number): Stat;
  fstatfsType(fd: number): number;
  getxattr(path: string, name: string): Buffer;
  lgetxattr(path: string, name: string): Buffer;
  fgetxattr(fd: number, name: string): Buffer;
  setxattr(path: string, name: string, value: Uint8Array, flags: number): void;
  lsetxattr(path: string, name: string, value: Uint8Array, flags: number): void;
  fsetxattr(fd: number, name: string, value: Uint8Array, flags: number): void;
  llistxattr(path: string): string[];
  flistxattr(fd: number): string[];
  lremovexattr(path: string, name: string): void;
  flock(fd: number, operation: number): void;
  syncfs(fd: number): void;
  read_cached(path: string, maxBytes: number): Buffer | number | undefined;
  run_file_batch(
    program: Uint8Array,
    strings: readonly string[],
    data: readonly Uint8Array[],
    at: number,
    fd: number,
  ): Promise<FileBatchAnswer>;
  copy_file_range(fdIn: number, fdOut: number, len: number): number;
  malloc_trim(): void;
  memfd_create(name: string, flags: number): number;
  fcntl(fd: number, cmd: number, arg: number): number;
  ioctl(fd: number, request: number, arg: number | Uint8Array): number;

  mount(
    source: string | null,
    target: string,
    filesystemtype: string | null,
    mountflags: number,
    data: string | null,
  ): void;
  umount2(target: string, flags: number): void;
  fsopen(fsname: string, flags: number): number;
  fsconfig(fd: number, cmd: number, key: string | null, value: string | null, aux: number): void;
  fsmount(fd: number, flags: number, attrFlags: number): number;
  move_mount(fromDirfd: number, fromPathname: string, toDirfd: number, toPathname: string, flags: number): void;
  open_tree(dirfd: number, pathname: string, flags: number): number;
  mount_setattr(
    dirfd: number,
    pathname: string,
    flags: number,
    attrSet: number,
    attrClr: number,
    propagation: number,
    usernsFd: number,
  ): void;
  pivot_root(newRoot: string, putOld: string): void;

  pidfd_open(pid: number, flags: number): number;
  pidfd_send_signal(pidfd: number, sig: number): void;
  waitid(idtype: number, id: number, options: number): WaitResult | undefined;
  prctl(option: number, arg2: number, arg3: number, arg4: number, arg5: number): number;
  unshare(flags: number): Promise<number[]>;
  spawn(executable: number, argv: readonly string[], envp: readonly string[], fds: readonly number[]): SpawnedProcess;
  bpf_prog_load(type: number, instructions: Uint8Array, license: string): number;
  bpf_prog_attach(targetFd: number, programFd: number, attachType: number, flags: number): void;

  socket(domain: number, type: number, protocol: number): number;
  socket_in_netns(netnsFd: number, domain: number, type: number, protocol: number): number;
  socketpair(domain: number, type: number, protocol: number): [number, number];
  bind(fd: number, addr: Uint8Array): void;
  listen(fd: number, backlog: number): void;
  connect(fd: number, addr: Uint8Array): void;
  setsockopt(fd: number, level: number, optname: number, value: number | Uint8Array): void;
  getsockopt(fd: number, level: number, optname: number, length: number): Buffer;
  sendmsg(fd: number, data: Uint8Array, fds: readonly number[], flags: number): number;
  recvmsg(fd: number, maxBytes: number, flags: number): ReceivedMessage;
  shutdown(fd: number, how: number): void;
  send_file(
    outFd: number,
    inFd: number,
    offset: number,
    count: number,
    callback: (sent: number, done: boolean, error: SysError | undefined) => void,
  ): void;
}

/** A package of prebuilt binaries lies beside `dist`, one folder per platform; a checkout builds its own there. */
export const prebuiltUrl = (file: string): URL =>
  new URL(`../prebuilt/${process.platform}-${process.arch}/${file}`, import.meta.url);

let loaded: Native | undefined;

/** Loads the addon at the first call, not at import, so that any package can be imported on any platform. */
export function native(): Native {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`@tsc/sys needs Linux; this is ${process.platform}`), {
      code: 'SYS_UNSUPPORTED_PLATFORM',
    });
  }
  loaded = createRequire(import.meta.url)(prebuiltUrl('sys.node').pathname) as Native;
  return loaded;
}
