import { closeSync, constants, fchmodSync, readdirSync } from 'node:fs';

import {
  AT_EMPTY_PATH,
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
import { decodeName } from '../tar/name.ts';
import { Turn } from './turn.ts';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
/** A single component below a directory: no links, no way out. */
export const ONE_COMPONENT: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
const CACHED_MAX = 128;
/** As many names as are remembered; with more, the kernel is asked. */
const MADE_MAX = 200_000;
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

/** Closed when nobody holds it any more: neither the tree, nor the member that is being written, nor a queued file. */
export class OpenDirectory implements Disposable {
  readonly fd: number;
  /** Tells directories apart, by whatever path each was reached. */
  readonly id: string;
  #holders = 1;

  constructor(fd: number) {
    const { devMajor, devMinor, ino } = statx(fd, '', AT_EMPTY_PATH);
    this.fd = fd;
    this.id = `${String(devMajor)}:${String(devMinor)}:${String(ino)}`;
  }

  /** One more holder, who disposes it once. */
  hold(): this {
    this.#holders += 1;
    return this;
  }

  [Symbol.dispose](): void {
    this.#holders -= 1;
    if (this.#holders === 0) closeSync(this.fd);
  }
}

/** A name to make something at. */
export interface TreePlace {
  readonly parent: OpenDirectory;
  readonly name: string;
  /** What the name is told by, where paths are ambiguous. */
  readonly key: string;
}

export const placeIn = (parent: OpenDirectory, name: string): TreePlace => ({
  parent,
  name,
  key: `${parent.id}/${name}`,
});

/**
 * The directories below one that we fill from a hostile archive, as descriptors. The kernel resolves every path
 * inside the root, also through symbolic links that the archive made; recently used directories stay open, and are
 * forgotten as soon as a directory or a symbolic link is replaced, so that no name means what it meant before.
 */
export class DirectoryTree implements Disposable {
  readonly #root: OpenDirectory;
  readonly #form: TreeForm;
  readonly #open = new Map<string, OpenDirectory>();
  /** The last of them. */
  #latest = '';
  /** Of a layer: the directories and links made here, by the keys of their places. */
  readonly #made = new Set<string>();

  /** `rootFd` stays the caller's. */
  constructor(rootFd: number, form: TreeForm = 'layer') {
    this.#root = new OpenDirectory(rootFd).hold();
    this.#form = form;
  }

  get root(): OpenDirectory {
    return this.#root;
  }

  /** The directory at a path (`''` is the root), held for the caller; `undefined` when the path leads to none. */
  find(path: string): OpenDirectory | undefined {
    if (path === '') return this.#root.hold();
    const known = this.#open.get(path);
    if (known !== undefined) {
      // The members of an archive come directory by directory.
      if (path !== this.#latest) {
        this.#open.delete(path);
        this.#open.set(path, known);
        this.#latest = path;
      }
      return known.hold();
    }
    try {
      return this.#keep(path, this.open(path));
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
      throw error;
    }
  }

  /** Makes what {@link find} did not find: a parent that the archive did not list, or listed as gone before. */
  make(parent: OpenDirectory, parts: readonly string[]): OpenDirectory {
    const [name, path] = [parts.at(-1) as string, parts.join('/')];
    const stat = statAt(parent.fd, name);
    const isGone = stat === undefined || (this.#form === 'layer' && isWhiteout(stat));
    if (!isGone && !isDirectory(stat)) {
      throw new ImageError(
        'LAYER_UNSAFE',
        `refused what is below ${quote(path)}: it is no directory, nor a link to one in the ${this.#form === 'layer' ? 'layer' : 'target'}`,
        { path },
      );
    }
    if (isGone) makeDirectory(parent.fd, name, stat);
    this.add(placeIn(parent, name));
    const fd = openat2(parent.fd, name, { flags: OPEN_DIRECTORY, resolve: ONE_COMPONENT });
    if (isGone) fchmodSync(fd, 0o755);
    return this.#keep(path, fd);
  }

  /** How paths are resolved below the root: through links that stay in it. */
  get resolve(): number {
    // A layer's tree is one directory of the store; a container's has its volumes mounted in it.
    return this.#form === 'layer' ? IN_ROOT | RESOLVE_NO_XDEV : IN_ROOT;
  }

  /** Opens an existing directory afresh; the caller closes it. */
  open(path: string): number {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return openat2(this.#root.fd, path, {
          flags: constants.O_RDONLY | constants.O_DIRECTORY,
          resolve: this.resolve,
        });
      } catch (error) {
        if (!hasCode(error, 'EAGAIN') || attempt === TRIES) throw error;
      }
    }
  }

  /** Notes that the caller has made a directory or a link. */
  add({ key }: TreePlace): void {
    if (this.#form === 'layer' && this.#made.size < MADE_MAX) this.#made.add(key);
  }

  /** Whether a path may lead through the name: a directory or a link, perhaps. A layer starts with nothing in it. */
  mayLead({ parent, name, key }: TreePlace): boolean {
    if (this.#form === 'layer' && this.#made.size < MADE_MAX) return this.#made.has(key);
    return statAt(parent.fd, name) !== undefined;
  }

  /** Forgets every directory but the root. */
  forget(): void {
    for (const directory of this.#open.values()) directory[Symbol.dispose]();
    this.#open.clear();
  }

  /** Removes what was found at `name`, with everything below it. */
  async remove(parent: OpenDirectory, name: string, found: Stat): Promise<void> {
    const type = found.mode & S_IFMT;
    if (type === 0o040000) await removeDirectory(parent.fd, name, new Turn());
    else unlinkat(parent.fd, name, 0);
    if (type === 0o040000 || type === 0o120000) this.forget();
  }

  [Symbol.dispose](): void {
    this.forget();
  }

  #keep(path: string, fd: number): OpenDirectory {
    const directory = ownDirectory(fd);
    this.#open.set(path, directory);
    this.#latest = path;
    if (this.#open.size > CACHED_MAX) {
      const [oldest, evicted] = this.#open.entries().next().value as [string, OpenDirectory];
      this.#open.delete(oldest);
      evicted[Symbol.dispose]();
    }
    return directory.hold();
  }
}

const ownDirectory = (fd: number): OpenDirectory => {
  try {
    return new OpenDirectory(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

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

const removeDirectory = async (parentFd: number, name: string, turn: Turn): Promise<void> => {
  const fd = openat2(parentFd, name, { flags: OPEN_DIRECTORY, resolve: ONE_COMPONENT });
  try {
    for (const entry of readdirSync(`/proc/self/fd/${String(fd)}`, { withFileTypes: true, encoding: 'buffer' })) {
      const child = decodeName(entry.name);
      if (entry.isDirectory()) await removeDirectory(fd, child, turn);
      else unlinkat(fd, child, 0);
      if (turn.isOver) await turn.pass();
    }
  } finally {
    closeSync(fd);
  }
  unlinkat(parentFd, name, AT_REMOVEDIR);
};
