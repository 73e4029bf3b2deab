import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { hasCode } from '@tsc/sys';

import { namespaceTypes, type NamespaceType } from './open.ts';

export interface ListedNamespace {
  readonly type: NamespaceType;
  /** What tells namespaces apart. */
  readonly inode: number;
  /** The processes in it that may be looked into, ascending, by their pids in this process's pid namespace. */
  readonly pids: readonly number[];
  /** Where it is pinned in this process's mount namespace. */
  readonly pinnedAt: readonly string[];
}

export interface ListOptions {
  /** Default: all. */
  readonly types?: readonly NamespaceType[] | undefined;
}

/**
 * The namespaces that processes are in or that are pinned, by type and inode.
 *
 * One that only a descriptor or a thread other than the first holds is not found. Processes that come and go meanwhile
 * may or may not be.
 *
 * @remarks Privilege: none; without CAP_SYS_PTRACE only the caller's own processes are seen.
 * @example const nets = listNamespaces({ types: ['net'] });
 */
export function listNamespaces({ types = namespaceTypes }: ListOptions = {}): ListedNamespace[] {
  const found = new Map<string, ListedNamespace & { pids: number[]; pinnedAt: string[] }>();
  const entry = (link: string): { pids: number[]; pinnedAt: string[] } | undefined => {
    const known = found.get(link) ?? parseNamespace(link);
    if (known !== undefined) found.set(link, known);
    return known;
  };
  for (const pid of processIds()) {
    for (const type of types) entry(linkOf(`/proc/${pid}/ns/${type}`))?.pids.push(pid);
  }
  for (const { link, path } of parsePins(readFileSync('/proc/self/mountinfo', 'utf8')))
    entry(link)?.pinnedAt.push(path);
  return [...found.values()].filter(({ type }) => types.includes(type)).sort(byTypeAndInode);
}

const byTypeAndInode = (a: ListedNamespace, b: ListedNamespace): number =>
  a.type === b.type ? a.inode - b.inode : a.type < b.type ? -1 : 1;

const processIds = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);

/** `net:[4026531840]`, as the kernel writes it. */
function parseNamespace(link: string): (ListedNamespace & { pids: number[]; pinnedAt: string[] }) | undefined {
  const [, name, inode] = /^([a-z]+):\[(\d+)\]$/.exec(link) ?? [];
  const type = namespaceTypes.find((known) => known === name);
  return type === undefined ? undefined : { type, inode: Number(inode), pids: [], pinnedAt: [] };
}

/** The bind mounts of namespaces in a `mountinfo`, whose fourth and fifth fields are what is mounted and where. */
export function parsePins(mountinfo: string): { readonly link: string; readonly path: string }[] {
  return mountinfo
    .split('\n')
    .filter((line) => line.includes(' - nsfs '))
    .map((line) => line.split(' '))
    .map(([, , , link = '', path = '']) => ({ link, path: unescapePath(path) }));
}

/** The kernel writes spaces, tabs, newlines and backslashes in octal. */
const unescapePath = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    // It has ended, is a zombie, is somebody else's, or this kernel has no such type.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return '';
    throw error;
  }
}
