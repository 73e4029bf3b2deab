import { closeSync, constants, fchmodSync, readdirSync } from 'node:fs';

import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  fsetxattr,
  hasCode,
  mkdirat,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  statx,
  unlinkat,
  type Stat,
} from '@tsc/sys';

import { ImageError, quote } from '../errors.ts';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
/** A single component below a directory: no links, no way out. */
export const ONE_COMPONENT: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
const CACHED_MAX = 128;
/** `openat2` asks to try again when anything was renamed anywhere while it resolved `..`. */
const TRIES = 128;
const DEPTH_MAX = 512;

const S_IFMT = 0o170000;
export const isDirectory = (stat: Stat): boolean => (stat.mode & S_IFMT) === 0o040000;
/** How overlayfs writes "this name is gone": a character device 0:0. */
export const isWhiteout = (stat: Stat): boolean =>
  (stat.mode & S_IFMT) === 0o020000 && stat.rdevMajor === 0 && stat.rdevMinor === 0;

/**
 * Splits an archive's name into components. A leading slash means the root of the tree; `..` is refused, because no
 * honest archiver writes it.
 *
 * @throws {@link ImageError} `LAYER_UNSAFE`
 */
export const splitPath = (name: string): readonly string[] => {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new ImageError('LAYER_UNSAFE', `refused ${quote(name)}: a name must not contain ".."`, { path: name });
  if (parts.length > DEPTH_MAX)
    throw new ImageError('LAYER_LIMIT', `refused ${quote(name)}: deeper than ${String(DEPTH_MAX)} directories`, {
      path: name,
    });
  return parts;
};

/** What a tree is: a lower layer of overlayfs, in which devices 0:0 are whiteouts, or a directory like any other. */
export type TreeForm = 'layer' | 'plain';

/**
 * The directories below one that we fill from a hostile archive, as descriptors. The kernel resolves every path
 * inside the root, also through symbolic links that the archive made; recently used directories stay open, and are
 * forgotten as soon as a directory or a symbolic link is replaced, so that no name means what it meant before.
 */
export class DirectoryTree implements Disposable {
  readonly rootFd: number;
  readonly #form: TreeForm;
  readonly #open = new Map<string, number>();

  constructor(rootFd: number, form: TreeForm = 'layer') {
    this.rootFd = rootFd;
    this.#form = form;
  }

  /** The directory at `path` ('' is the root), made with its parents if it is missing. Valid until the next call but few. */
  directory(parts: readonly string[]): number {
    if (parts.length === 0) return this.rootFd;
    const path = parts.join('/');
    const cached = this.#open.get(path);
    if (cached !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, cached);
      return cached;
    }
    const fd = this.#openOrMake(path, parts);
    this.#keep(path, fd);
    return fd;
  }

  /** Opens an existing directory afresh, through links that stay in the tree; the caller closes it. */
  open(path: string): number {
    // A layer's tree is one directory of the store; a container's has its volumes mounted in it.
    const resolve = this.#form === 'layer' ? IN_ROOT | RESOLVE_NO_XDEV : IN_ROOT;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return openat2(this.rootFd, path, { flags: constants.O_RDONLY | constants.O_DIRECTORY, resolve });
      } catch (error) {
        if (!hasCode(error, 'EAGAIN') || attempt === TRIES) throw error;
      }
    }
  }

  /** Closes every cached descriptor but the root. */
  forget(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  /** Removes what is at `name`, if anything, with everything below it. */
  remove(parentFd: number, name: string): void {
    const stat = statAt(parentFd, name);
    if (stat !== undefined) this.removeFound(parentFd, name, stat);
  }

  removeFound(parentFd: number, name: string, stat: Stat): void {
    const type = stat.mode & S_IFMT;
    if (type === 0o040000) removeDirectory(parentFd, name);
    else unlinkat(parentFd, name, 0);
    // Never the parent's own descriptor: the caller still uses it, so it is kept open by forgetting around it.
    if (type === 0o040000 || type === 0o120000) this.#forgetBut(parentFd);
  }

  [Symbol.dispose](): void {
    this.forget();
  }

  #openOrMake(path: string, parts: readonly string[]): number {
    try {
      return this.open(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    }
    const parentFd = this.directory(parts.slice(0, -1));
    return this.#makeChild(parentFd, parts.at(-1) as string, path);
  }

  /** A parent that the archive did not list, or listed as gone before it put something into it. */
  #makeChild(parentFd: number, name: string, path: string): number {
    const stat = statAt(parentFd, name);
    const isGone = stat === undefined || (this.#form === 'layer' && isWhiteout(stat));
    if (!isGone && !isDirectory(stat)) {
      throw new ImageError(
        'LAYER_UNSAFE',
        `refused what is below ${quote(path)}: it is no directory, nor a link to one in the ${this.#form === 'layer' ? 'layer' : 'target'}`,
        { path },
      );
    }
    if (isGone) makeDirectory(parentFd, name, stat);
    const fd = openat2(parentFd, name, { flags: OPEN_DIRECTORY, resolve: ONE_COMPONENT });
    if (isGone) fchmodSync(fd, 0o755);
    return fd;
  }

  #keep(path: string, fd: number): void {
    this.#open.set(path, fd);
    if (this.#open.size <= CACHED_MAX) return;
    const [oldest, oldestFd] = this.#open.entries().next().value as [string, number];
    this.#open.delete(oldest);
    closeSync(oldestFd);
  }

  #forgetBut(keptFd: number): void {
    for (const [path, fd] of this.#open) {
      if (fd === keptFd) continue;
      this.#open.delete(path);
      closeSync(fd);
    }
  }
}

/** What is at `name` itself, links not followed; `undefined` when there is nothing. */
export const statAt = (parentFd: number, name: string): Stat | undefined => {
  try {
    return statx(parentFd, name, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

/** Makes a directory; one that takes a whiteout's place hides what the whiteout hid. */
export const makeDirectory = (parentFd: number, name: string, replaced: Stat | undefined): void => {
  if (replaced !== undefined) unlinkat(parentFd, name, 0);
  mkdirat(parentFd, name, 0o755);
  if (replaced === undefined || !isWhiteout(replaced)) return;
  const fd = openat2(parentFd, name, { flags: OPEN_DIRECTORY, resolve: ONE_COMPONENT });
  try {
    setOpaque(fd);
  } finally {
    closeSync(fd);
  }
};

/** How overlayfs writes "nothing of the layers below shows in this directory". */
export const setOpaque = (directoryFd: number): void => {
  fsetxattr(directoryFd, 'trusted.overlay.opaque', Buffer.from('y'));
};

const removeDirectory = (parentFd: number, name: string): void => {
  const fd = openat2(parentFd, name, { flags: OPEN_DIRECTORY, resolve: ONE_COMPONENT });
  try {
    for (const entry of readdirSync(`/proc/self/fd/${String(fd)}`, { withFileTypes: true })) {
      if (entry.isDirectory()) removeDirectory(fd, entry.name);
      else unlinkat(fd, entry.name, 0);
    }
  } finally {
    closeSync(fd);
  }
  unlinkat(parentFd, name, AT_REMOVEDIR);
};
