import { closeSync } from 'node:fs';

import { unshare } from '@tsc/sys';

import { refusal } from './errors.ts';
import { NamespaceHandle, namespaceFlags } from './open.ts';

/** What can exist without a process in it; the others are made by {@link spawnInNamespaces}. */
export type StandaloneNamespaceType = 'cgroup' | 'ipc' | 'net' | 'uts';

/**
 * Makes new namespaces, with nobody in them. This process does not enter them: a thread that ends right after makes
 * them.
 *
 * @param types - each at most once
 * @returns handles in the order of `types`, yours to close; the namespaces end with their last handle, pin and process
 * @throws {@link NamespaceError} `NAMESPACE_NOT_PERMITTED`: no CAP_SYS_ADMIN
 * @throws {@link NamespaceError} `NAMESPACE_REFUSED`: a limit of `/proc/sys/user` is reached (`ENOSPC`), or the kernel
 *   has no such type (`EINVAL`)
 * @remarks Privilege: CAP_SYS_ADMIN.
 * @see https://man7.org/linux/man-pages/man2/unshare.2.html
 * @example const [net, uts] = await createNamespaces(['net', 'uts']);
 */
export async function createNamespaces(types: readonly StandaloneNamespaceType[]): Promise<NamespaceHandle[]> {
  if (new Set(types).size !== types.length) throw new TypeError(`a type is there twice: ${types.join(', ')}`);
  // The kernel's answer is in the order of ascending flags.
  const ascending = [...types].sort((a, b) => namespaceFlags[a] - namespaceFlags[b]);
  if (ascending.length === 0) return [];
  const fds = await unshareAll(ascending);
  using undo = new DisposableStack();
  for (const fd of fds) undo.adopt(fd, closeSync);
  const handles = new Map(ascending.map((type, index) => [type, new NamespaceHandle(type, fds[index] ?? -1)]));
  undo.move();
  return types.flatMap((type) => handles.get(type) ?? []);
}

async function unshareAll(types: readonly StandaloneNamespaceType[]): Promise<number[]> {
  try {
    return await unshare(types.reduce((flags, type) => flags | namespaceFlags[type], 0));
  } catch (cause) {
    throw refusal('cannot make namespaces', types.join(', '), cause);
  }
}

/**
 * Makes a network namespace: nothing is in it but `lo`, which is down. As {@link createNamespaces}, with one type.
 *
 * @example using netns = await createNetns();
 */
export async function createNetns(): Promise<NamespaceHandle> {
  const [handle] = await createNamespaces(['net']);
  if (handle === undefined) throw new Error('unshare returned no descriptor');
  return handle;
}
