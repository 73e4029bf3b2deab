import { chmodSync, closeSync, constants, fchmodSync, fchownSync, ftruncateSync, writeSync } from 'node:fs';

import {
  AT_SYMLINK_NOFOLLOW,
  fchmodat,
  fchownat,
  fsetxattr,
  hasCode,
  isSysError,
  linkat,
  lsetxattr,
  mkdirat,
  mknodat,
  O_PATH,
  openat2,
  symlinkat,
  utimensat,
} from '@tsc/sys';

import { ImageError, isImageError, quote } from '../errors.ts';
import type { TarEntry, TarSink } from '../tar/entry.ts';
import {
  DirectoryTree,
  isDirectory,
  isWhiteout,
  makeDirectory,
  ONE_COMPONENT,
  setOpaque,
  splitPath,
  statAt,
  type TreeForm,
} from './directory-tree.ts';
import { classifyName, type LayerName } from './whiteout.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const S_IFCHR = 0o020000;
const NODE_TYPES = { character: S_IFCHR, block: 0o060000, fifo: 0o010000 } as const;

interface Times {
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
}

/** overlayfs's own attributes would let a layer point the kernel elsewhere; SELinux labels belong to the host. */
const isForeignXattr = (name: string): boolean =>
  name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.') || name === 'security.selinux';

export interface TreeWriterOptions {
  readonly form?: TreeForm | undefined;
  /** Who owns everything, instead of whom the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Of a plain tree, whether a member `./` changes the target directory itself. A layer's always does. */
  readonly applyRoot?: boolean | undefined;
}

/**
 * Writes the members of an archive below a directory. In the form of a `layer`, as overlayfs wants a lower one:
 * whiteouts become devices 0:0, opaque markers become attributes. In the `plain` form names mean nothing but themselves,
 * and what is there already is replaced, a directory by a directory only. The sink of a {@link TarReader}.
 */
export class TreeWriter implements TarSink, Disposable {
  readonly #tree: DirectoryTree;
  readonly #plain: boolean;
  readonly #options: TreeWriterOptions;
  /** Directories get their times last, when nothing is put into them any more. */
  readonly #directoryTimes = new Map<string, Times>();
  #entry: TarEntry | undefined;
  #parentFd = -1;
  #name = '';
  #fileFd = -1;
  #entries = 0;

  /** `rootFd` stays the caller's. */
  constructor(rootFd: number, options: TreeWriterOptions = {}) {
    this.#tree = new DirectoryTree(rootFd, options.form);
    this.#plain = options.form === 'plain';
    this.#options = options;
  }

  get entries(): number {
    return this.#entries;
  }

  entry(described: TarEntry): void {
    const { owner } = this.#options;
    const entry = owner === undefined ? described : { ...described, ...owner };
    this.#entry = entry;
    this.#entries += 1;
    this.#try(() => {
      this.#place(entry);
    });
  }

  data(chunk: Buffer, offset: number): void {
    if (this.#fileFd < 0) return;
    this.#try(() => {
      for (let at = 0; at < chunk.length;) {
        at += writeSync(this.#fileFd, chunk, at, chunk.length - at, offset + at);
      }
    });
  }

  end(): void {
    if (this.#fileFd < 0) return;
    this.#try(() => {
      this.#finishFile(this.#entry as TarEntry, this.#fileFd);
    });
    this.#closeFile();
  }

  /** Sets the directories' times. Call when the archive has ended. */
  finish(): void {
    this.#tree.forget();
    for (const [path, times] of this.#directoryTimes) this.#setDirectoryTimes(path, times);
  }

  [Symbol.dispose](): void {
    this.#closeFile();
    this.#tree[Symbol.dispose]();
  }

  #place(entry: TarEntry): void {
    const parts = splitPath(entry.name);
    if (parts.length === 0) {
      this.#root(entry);
      return;
    }
    const meaning: LayerName = this.#plain ? { type: 'plain' } : classifyName(parts);
    if (meaning.type === 'bookkeeping') return;
    this.#parentFd = this.#tree.directory(parts.slice(0, -1));
    this.#name = parts.at(-1) as string;
    if (meaning.type === 'opaque') setOpaque(this.#parentFd);
    else if (meaning.type === 'whiteout') this.#whiteout(meaning.name);
    else this.#make(entry, parts);
  }

  /** `./`, which many archives start with. */
  #root(entry: TarEntry): void {
    if (entry.type !== 'directory')
      throw new ImageError('LAYER_INVALID', `${quote(entry.name)} names the root, which must be a directory`);
    if (this.#plain && this.#options.applyRoot !== true) return;
    const fd = this.#tree.rootFd;
    fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
    for (const [name, value] of entry.xattrs) if (!isForeignXattr(name)) fsetxattr(fd, name, value);
    this.#directoryTimes.set('.', timesOf(entry));
  }

  #make(entry: TarEntry, parts: readonly string[]): void {
    if (entry.type === 'directory') {
      this.#directory(entry, parts.join('/'));
      return;
    }
    if (entry.type === 'hardlink') {
      this.#hardlink(entry);
      return;
    }
    if (entry.type === 'file') {
      this.#fileFd = this.#replacing(() =>
        openat2(this.#parentFd, this.#name, { flags: CREATE, mode: 0o600, resolve: ONE_COMPONENT }),
      );
      return;
    }
    if (entry.type === 'symlink') {
      this.#replacing(() => {
        symlinkat(entry.linkName, this.#parentFd, this.#name);
      });
    } else this.#node(entry, NODE_TYPES[entry.type]);
    this.#describe(entry);
  }

  #node(entry: TarEntry, type: number): void {
    this.#replacing(() => {
      mknodat(this.#parentFd, this.#name, type | (entry.mode & 0o777), {
        major: entry.devMajor,
        minor: entry.devMinor,
      });
    });
  }

  #directory(entry: TarEntry, path: string): void {
    try {
      mkdirat(this.#parentFd, this.#name, 0o755);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      this.#existingDirectory();
    }
    this.#describe(entry);
    this.#directoryTimes.set(path, timesOf(entry));
  }

  #existingDirectory(): void {
    const stat = statAt(this.#parentFd, this.#name);
    if (stat === undefined || isDirectory(stat)) return;
    if (this.#plain) throw this.#conflict('a directory cannot replace what is no directory');
    if (isWhiteout(stat)) {
      makeDirectory(this.#parentFd, this.#name, stat);
      return;
    }
    this.#tree.removeFound(this.#parentFd, this.#name, stat);
    mkdirat(this.#parentFd, this.#name, 0o755);
  }

  /** Another name of a member that came before: looked up in the tree, its last component never followed. */
  #hardlink(entry: TarEntry): void {
    const target = splitPath(entry.linkName);
    const targetName = target.at(-1);
    if (targetName === undefined || (!this.#plain && classifyName(target).type !== 'plain')) {
      throw new ImageError(
        'LAYER_INVALID',
        `hard link ${quote(entry.name)} to ${quote(entry.linkName)}, which is no file`,
      );
    }
    const targetStat = statAt(this.#tree.directory(target.slice(0, -1)), targetName);
    if (targetStat === undefined || isDirectory(targetStat) || (!this.#plain && isWhiteout(targetStat))) {
      throw new ImageError(
        'LAYER_INVALID',
        `hard link ${quote(entry.name)} to ${quote(entry.linkName)}, which is no file of the layer`,
      );
    }
    this.#replacing(() => {
      linkat(this.#tree.directory(target.slice(0, -1)), targetName, this.#parentFd, this.#name, 0);
    });
  }

  /** A name is gone from the layers below; what this layer itself has there stays. */
  #whiteout(name: string): void {
    const stat = statAt(this.#parentFd, name);
    if (stat === undefined) mknodat(this.#parentFd, name, S_IFCHR, { major: 0, minor: 0 });
    else if (isDirectory(stat)) this.#opaqueChild(name);
  }

  #opaqueChild(name: string): void {
    const fd = openat2(this.#parentFd, name, {
      flags: constants.O_RDONLY | constants.O_DIRECTORY,
      resolve: ONE_COMPONENT,
    });
    try {
      setOpaque(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Makes something exclusively; what an earlier member put there is removed first. */
  #replacing<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    const stat = statAt(this.#parentFd, this.#name);
    if (this.#plain && stat !== undefined && isDirectory(stat))
      throw this.#conflict('what is no directory cannot replace a directory');
    if (stat !== undefined) this.#tree.removeFound(this.#parentFd, this.#name, stat);
    return make();
  }

  #conflict(why: string): ImageError {
    const name = this.#entry?.name ?? '';
    return new ImageError('ARCHIVE_CONFLICT', `cannot unpack ${quote(name)}: ${why}`, { path: name });
  }

  /** Owner, mode, attributes and times of what was just made. Owner first: changing it clears set-id bits and capabilities. */
  #describe(entry: TarEntry): void {
    const [fd, name] = [this.#parentFd, this.#name];
    fchownat(fd, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW);
    if (entry.type !== 'symlink') changeMode(fd, name, entry.mode);
    const path = `/proc/self/fd/${String(fd)}/${name}`;
    for (const [key, value] of entry.xattrs) if (!isForeignXattr(key)) lsetxattr(path, key, value);
    if (entry.type !== 'directory') utimensat(fd, name, timesOf(entry), AT_SYMLINK_NOFOLLOW);
  }

  #finishFile(entry: TarEntry, fd: number): void {
    if (entry.extents !== undefined) ftruncateSync(fd, entry.size);
    fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
    for (const [key, value] of entry.xattrs) if (!isForeignXattr(key)) fsetxattr(fd, key, value);
    utimensat(this.#parentFd, this.#name, timesOf(entry), AT_SYMLINK_NOFOLLOW);
  }

  /** A directory that a later member replaced has no times to set. */
  #setDirectoryTimes(path: string, times: Times): void {
    let fd: number;
    try {
      fd = this.#tree.open(path);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return;
      throw error;
    }
    try {
      utimensat(fd, '.', times, 0);
    } finally {
      closeSync(fd);
    }
  }

  #closeFile(): void {
    if (this.#fileFd < 0) return;
    closeSync(this.#fileFd);
    this.#fileFd = -1;
  }

  #try(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw isImageError(error) ? error : failed(error, this.#entry?.name ?? '');
    }
  }
}

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

const timesOf = (entry: TarEntry): Times => ({ atimeNs: entry.atimeNs ?? entry.mtimeNs, mtimeNs: entry.mtimeNs });

const failed = (error: unknown, name: string): unknown => {
  if (!Error.isError(error) || !('code' in error)) return error;
  const errno = String(error.code);
  const call = isSysError(error) ? error.syscall : 'syscall' in error ? String(error.syscall) : 'write';
  if (errno === 'EPERM' && process.geteuid?.() !== 0) {
    return new ImageError('NEEDS_ROOT', `cannot unpack ${quote(name)}: ${call} needs root`, {
      path: name,
      errno,
      cause: error,
    });
  }
  return new ImageError('LAYER_FAILED', `cannot unpack ${quote(name)}: ${call}: ${errno}`, {
    path: name,
    errno,
    cause: error,
  });
};
