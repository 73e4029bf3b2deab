import { closeSync, constants, openSync, unlinkSync } from 'node:fs';

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MNT_DETACH,
  MS_BIND,
  O_CLOEXEC,
  O_PATH,
  UMOUNT_NOFOLLOW,
  hasCode,
  mount,
  openat2,
  statx,
  umount2,
} from '@tsc/sys';

import { NamespaceError, refusal } from './errors.ts';
import { isNamespace } from './open.ts';

/**
 * Keeps a namespace alive without a process, by a bind mount of it on a file, which is made for that.
 *
 * Equivalent to: `touch <path> && mount --bind /proc/self/fd/<fd> <path>`. The pin stays until `unpinNamespace` or the
 * end of this mount namespace. `ip netns` finds network namespaces that are pinned in `/run/netns`.
 *
 * @param fd - a descriptor of the namespace; may be closed afterwards
 * @throws {@link NamespaceError} `NAMESPACE_PIN_EXISTS`: there is a file already; nothing was changed
 * @throws {@link NamespaceError} `NAMESPACE_NOT_FOUND`: the directory of `path` does not exist
 * @throws {@link NamespaceError} `NAMESPACE_NOT_PERMITTED`: no CAP_SYS_ADMIN, or no write access to the directory
 * @throws {@link NamespaceError} `NAMESPACE_WRONG_TYPE`: `fd` is no namespace
 * @throws {@link NamespaceError} `NAMESPACE_REFUSED`: such as a mount namespace inside itself
 */
export function pinNamespace(fd: number, path: string): void {
  if (!isNamespace(fd)) {
    throw new NamespaceError('NAMESPACE_WRONG_TYPE', `cannot pin a namespace: ${path}: descriptor ${fd} is none`, {
      path,
    });
  }
  try {
    closeSync(openSync(path, 'wx', 0o444));
  } catch (cause) {
    throw refusal('cannot pin a namespace', path, cause);
  }
  try {
    mount(`/proc/self/fd/${fd}`, path, null, MS_BIND, null);
  } catch (cause) {
    unlinkSync(path);
    throw refusal('cannot pin a namespace', path, cause);
  }
}

/**
 * Takes a pin away, and with the last thing that holds it the namespace. A path that does not exist is fine, and so is
 * the empty file that a crash has left of a pin.
 *
 * @throws {@link NamespaceError} `NAMESPACE_NOT_A_PIN`: something else is there; it stays
 * @throws {@link NamespaceError} `NAMESPACE_NOT_PERMITTED`: no CAP_SYS_ADMIN, or no write access to the directory
 */
export function unpinNamespace(path: string): void {
  try {
    // More than once where two pins lie over each other.
    while (kindOf(path) === 'pin') umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (kindOf(path) === 'other') {
      throw new NamespaceError('NAMESPACE_NOT_A_PIN', `cannot unpin a namespace: ${path}: is something else`, { path });
    }
    unlinkSync(path);
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return;
    throw hasCode(cause, 'NAMESPACE_NOT_A_PIN') ? cause : refusal('cannot unpin a namespace', path, cause);
  }
}

/** Looks without following a link or opening what is there. */
function kindOf(path: string): 'pin' | 'empty' | 'other' {
  using held = new DisposableStack();
  const fd = held.adopt(openat2(AT_FDCWD, path, { flags: O_PATH | O_CLOEXEC | constants.O_NOFOLLOW }), closeSync);
  if (isNamespace(fd)) return 'pin';
  const { mode, size } = statx(fd, '', AT_EMPTY_PATH);
  return (mode & constants.S_IFMT) === constants.S_IFREG && size === 0 ? 'empty' : 'other';
}
