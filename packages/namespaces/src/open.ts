import { closeSync, constants, fstatSync, openSync } from 'node:fs';

import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  fstatfsType,
  ioctl,
} from '@tsc/sys';

import { NamespaceError, refusal } from './errors.ts';

/** The kernel's names, as in `/proc/<pid>/ns`. */
export type NamespaceType = 'cgroup' | 'ipc' | 'mnt' | 'net' | 'pid' | 'time' | 'user' | 'uts';

/** The flag that clone, unshare and setns know a type by. */
export const namespaceFlags: Readonly<Record<NamespaceType, number>> = {
  cgroup: CLONE_NEWCGROUP,
  ipc: CLONE_NEWIPC,
  mnt: CLONE_NEWNS,
  net: CLONE_NEWNET,
  pid: CLONE_NEWPID,
  time: CLONE_NEWTIME,
  user: CLONE_NEWUSER,
  uts: CLONE_NEWUTS,
};

export const namespaceTypes: readonly NamespaceType[] = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'];

const NSFS_MAGIC = 0x6e736673;
const NS_GET_NSTYPE = 0xb703;

/** Whether a descriptor is of a namespace, and not of a file like any other. */
export const isNamespace = (fd: number): boolean => fstatfsType(fd) === NSFS_MAGIC;

/** A namespace that is held open: it lives at least until `close`. */
export class NamespaceHandle {
  readonly type: NamespaceType;
  /** What tells namespaces apart: two handles with the same inode hold the same one. */
  readonly inode: number;
  #fd: number | undefined;

  /** @param fd - a descriptor of the namespace, which this object closes */
  constructor(type: NamespaceType, fd: number) {
    this.type = type;
    this.inode = fstatSync(fd).ino;
    this.#fd = fd;
  }

  /** For setns, for a start program, or for {@link pinNamespace}. */
  get fd(): number {
    if (this.#fd === undefined) throw new TypeError(`the ${this.type} namespace handle is closed`);
    return this.#fd;
  }

  /** Lets go of the namespace. Twice is fine. */
  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Takes hold of the namespace that a process is in, or that is pinned at a path.
 *
 * @param source - a pid of this process's own pid namespace, or a path: a pin, or a file of `/proc/<pid>/ns`
 * @throws {@link NamespaceError} `NAMESPACE_NOT_FOUND`: no such process or path, or the kernel has no such type
 * @throws {@link NamespaceError} `NAMESPACE_WRONG_TYPE`: what is there is no namespace, or one of another type
 * @throws {@link NamespaceError} `NAMESPACE_NOT_PERMITTED`: the process may not be looked into
 * @remarks Privilege: for a process that is not the caller's, CAP_SYS_PTRACE over it.
 * @see https://man7.org/linux/man-pages/man7/namespaces.7.html
 * @example using net = openNamespace('/run/netns/blue', 'net');
 */
export function openNamespace(source: number | string, type: NamespaceType): NamespaceHandle {
  const path = typeof source === 'number' ? `/proc/${source}/ns/${type}` : source;
  using undo = new DisposableStack();
  let fd: number;
  try {
    // Not to wait for a writer, nor to gain a terminal, should the path be something else.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    undo.adopt(fd, closeSync);
  } catch (cause) {
    throw refusal(`cannot open a ${type} namespace`, path, cause);
  }
  const found = isNamespace(fd) ? typeOf(ioctl(fd, NS_GET_NSTYPE, 0)) : undefined;
  if (found !== type) {
    const what = found === undefined ? 'is no namespace' : `is a ${found} namespace`;
    throw new NamespaceError('NAMESPACE_WRONG_TYPE', `cannot open a ${type} namespace: ${path}: ${what}`, { path });
  }
  undo.move();
  return new NamespaceHandle(type, fd);
}

const typeOf = (flag: number): NamespaceType | undefined =>
  namespaceTypes.find((type) => namespaceFlags[type] === flag);
