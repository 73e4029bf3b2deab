import { closeSync, constants } from 'node:fs';

import { hasCode, isSysError, linkat, mkdirat, mknodat, openat2, symlinkat, type Stat, type SysError } from '@tsc/sys';

import { ImageError, isImageError, quote } from '../errors.ts';
import type { TarEntry, TarSink } from '../tar/entry.ts';
import { describeMade, describeOpen, timesOf } from './attributes.ts';
import { DirectoryTimes } from './directory-times.ts';
import {
  DirectoryTree,
  isDirectory,
  isWhiteout,
  makeDirectory,
  ONE_COMPONENT,
  setOpaque,
  splitPath,
  statAt,
  placeIn,
  type OpenDirectory,
  type TreeForm,
  type TreePlace,
} from './directory-tree.ts';
import { CREATE, FileQueue, type QueuedFile } from './file-queue.ts';
import { MemberPaths, type MemberPath } from './member-path.ts';
import { classifyName } from './whiteout.ts';

const S_IFCHR = 0o020000;
const ID_MAX = 0xfffffffe;
const NODE_TYPES = { character: S_IFCHR, block: 0o060000, fifo: 0o010000 } as const;

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
 *
 * Regular files go through a queue and are written by another thread; everything else is made at once. The result is as
 * if all were made one after the other: whatever needs to know what is at a name that is queued waits for the queue.
 */
export class TreeWriter implements TarSink, AsyncDisposable {
  readonly #tree: DirectoryTree;
  readonly #queue: FileQueue;
  readonly #plain: boolean;
  readonly #paths: MemberPaths;
  readonly #options: TreeWriterOptions;
  /** Directories get their times last, when nothing is put into them any more. */
  readonly #directoryTimes = new DirectoryTimes();
  #entries = 0;

  /** `rootFd` stays the caller's. */
  constructor(rootFd: number, options: TreeWriterOptions = {}) {
    this.#tree = new DirectoryTree(rootFd, options.form);
    this.#queue = new FileQueue((file, error) => this.#recover(file, error));
    this.#plain = options.form === 'plain';
    this.#paths = new MemberPaths(!this.#plain);
    this.#options = options;
  }

  get entries(): number {
    return this.#entries;
  }

  entry(described: TarEntry): Promise<void> | undefined {
    const { owner } = this.#options;
    const entry = owner === undefined ? described : { ...described, ...owner };
    this.#entries += 1;
    try {
      checkOwner(entry);
      return this.#place(entry)?.catch((error: unknown) => {
        throw failed(error, entry.name);
      });
    } catch (error) {
      throw failed(error, entry.name);
    }
  }

  data(chunk: Buffer, offset: number): Promise<void> | undefined {
    return this.#queue.write(chunk, offset);
  }

  end(): Promise<void> | undefined {
    return this.#queue.end();
  }

  /** Waits for what is queued, then sets the directories' times. Call when the archive has ended. */
  async finish(): Promise<void> {
    await this.#queue.settle();
    this.#tree.forget();
    try {
      await this.#directoryTimes.set({ rootFd: this.#tree.root.fd, resolve: this.#tree.resolve });
    } catch (error) {
      throw failed(error, '.');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
    this.#tree[Symbol.dispose]();
  }

  /** Makes what needs no waiting at once, as nearly every member is, and returns a promise of the others. */
  #place(entry: TarEntry): Promise<void> | undefined {
    const path = this.#paths.read(entry.name);
    const { dirPath, name, meaning } = path;
    if (name === undefined) {
      this.#root(entry);
      return undefined;
    }
    if (meaning.type === 'bookkeeping') return undefined;
    using parent = this.#tree.find(dirPath);
    if (meaning.type === 'plain' && parent !== undefined && this.#makeNow(entry, placeIn(parent, name)))
      return undefined;
    return this.#placeIn(path, name, entry);
  }

  async #placeIn({ dirs, meaning }: MemberPath, name: string, entry: TarEntry): Promise<void> {
    using parent = await this.#directory(dirs);
    const place = placeIn(parent, name);
    if (meaning.type === 'opaque') setOpaque(parent.fd);
    else if (meaning.type === 'whiteout') await this.#whiteout(placeIn(parent, meaning.name));
    else if (entry.type === 'file') await this.#file(entry, place);
    else await this.#make(entry, place);
  }

  /** False where something is in the way, or may be on its way; nothing has changed then. */
  #makeNow(entry: TarEntry, place: TreePlace): boolean {
    if (entry.type === 'hardlink' || this.#queue.has(place)) return false;
    if (entry.type === 'file') {
      if (this.#tree.mayLead(place)) return false;
      this.#queue.begin({ entry, place });
      return true;
    }
    try {
      if (entry.type === 'directory') mkdirat(place.parent.fd, place.name, 0o755);
      else this.#makeNode(entry, place);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    }
    this.#made(entry, place);
    return true;
  }

  /** Describes what was just made, and is no file. */
  #made(entry: TarEntry, place: TreePlace): void {
    if (entry.type === 'directory' || entry.type === 'symlink') this.#tree.add(place);
    describeMade(place.parent.fd, place.name, entry);
    if (entry.type === 'directory') this.#directoryTimes.add(entry.name, timesOf(entry));
  }

  /** `./`, which many archives start with. */
  #root(entry: TarEntry): void {
    if (entry.type !== 'directory')
      throw new ImageError('LAYER_INVALID', `${quote(entry.name)} names the root, which must be a directory`);
    if (this.#plain && this.#options.applyRoot !== true) return;
    describeOpen(this.#tree.root.fd, entry);
    this.#directoryTimes.add(entry.name, timesOf(entry));
  }

  /** The directory at a path, made with its parents if it is missing. */
  async #directory(parts: readonly string[]): Promise<OpenDirectory> {
    const found = this.#tree.find(parts.join('/'));
    if (found !== undefined) return found;
    using parent = await this.#directory(parts.slice(0, -1));
    await this.#settle(placeIn(parent, parts.at(-1) as string));
    return this.#tree.make(parent, parts);
  }

  /** Afterwards nothing at the name is still to come. */
  async #settle(place: TreePlace): Promise<void> {
    if (this.#queue.has(place)) await this.#queue.settle();
  }

  /**
   * Queues a file. What a path may lead through is removed first, so that no later path leads through what a queued file
   * is to replace; anything else is found to be there when the file is made.
   */
  async #file(entry: TarEntry, place: TreePlace): Promise<void> {
    await this.#settle(place);
    if (this.#tree.mayLead(place)) await this.#clear(place, entry);
    this.#queue.begin({ entry, place });
  }

  /** What the queue met: something is in a file's place. */
  async #recover({ entry, place }: QueuedFile, error: SysError): Promise<number> {
    try {
      if (error.code !== 'EEXIST' || error.syscall !== 'openat2') throw error;
      await this.#remove(place, entry);
      return openat2(place.parent.fd, place.name, CREATE);
    } catch (cause) {
      throw failed(cause, entry.name);
    }
  }

  async #make(entry: TarEntry, place: TreePlace): Promise<void> {
    await this.#settle(place);
    if (entry.type === 'hardlink') {
      await this.#hardlink(entry, place);
      return;
    }
    if (entry.type === 'directory') await this.#makeDirectory(entry, place);
    else {
      await this.#replacing(entry, place, () => {
        this.#makeNode(entry, place);
      });
    }
    this.#made(entry, place);
  }

  #makeNode(entry: TarEntry, { parent, name }: TreePlace): void {
    if (entry.type === 'symlink') {
      symlinkat(entry.linkName, parent.fd, name);
      return;
    }
    const type = NODE_TYPES[entry.type as keyof typeof NODE_TYPES];
    mknodat(parent.fd, name, type | (entry.mode & 0o777), { major: entry.devMajor, minor: entry.devMinor });
  }

  async #makeDirectory(entry: TarEntry, place: TreePlace): Promise<void> {
    try {
      mkdirat(place.parent.fd, place.name, 0o755);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      await this.#existingDirectory(entry, place);
    }
  }

  async #existingDirectory(entry: TarEntry, place: TreePlace): Promise<void> {
    const { parent, name } = place;
    const stat = statAt(parent.fd, name);
    if (stat === undefined || isDirectory(stat)) return;
    if (this.#plain) throw conflict(entry, 'a directory cannot replace what is no directory');
    if (isWhiteout(stat)) {
      makeDirectory(parent.fd, name, stat);
      return;
    }
    await this.#clear(place, entry);
    mkdirat(parent.fd, name, 0o755);
  }

  /** Another name of a member that came before: looked up in the tree, its last component never followed. */
  async #hardlink(entry: TarEntry, place: TreePlace): Promise<void> {
    const target = splitPath(entry.linkName);
    const name = target.at(-1);
    if (name === undefined || (!this.#plain && classifyName(target).type !== 'plain')) throw noFile(entry, '');
    using parent = await this.#directory(target.slice(0, -1));
    await this.#settle(placeIn(parent, name));
    const stat = statAt(parent.fd, name);
    if (stat === undefined || isDirectory(stat) || (!this.#plain && isWhiteout(stat)))
      throw noFile(entry, ' of the layer');
    if (isSame(stat, statAt(place.parent.fd, place.name))) return;
    await this.#replacing(entry, place, () => {
      linkat(parent.fd, name, place.parent.fd, place.name, 0);
    });
    // The target may be a symbolic link.
    this.#tree.add(place);
  }

  /** A name is gone from the layers below; what this layer itself has there stays. */
  async #whiteout(place: TreePlace): Promise<void> {
    await this.#settle(place);
    const stat = statAt(place.parent.fd, place.name);
    if (stat === undefined) mknodat(place.parent.fd, place.name, S_IFCHR, { major: 0, minor: 0 });
    else if (isDirectory(stat)) this.#opaqueChild(place);
  }

  #opaqueChild({ parent, name }: TreePlace): void {
    const fd = openat2(parent.fd, name, {
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
  async #replacing(entry: TarEntry, place: TreePlace, make: () => void): Promise<void> {
    try {
      make();
      return;
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    await this.#clear(place, entry);
    make();
  }

  /** Removes what is at a name, after waiting for what may be on its way to somewhere below it. */
  async #clear(place: TreePlace, entry: TarEntry): Promise<void> {
    await this.#queue.settle();
    await this.#remove(place, entry);
  }

  async #remove({ parent, name }: TreePlace, entry: TarEntry): Promise<void> {
    const stat = statAt(parent.fd, name);
    if (stat === undefined) return;
    if (this.#plain && isDirectory(stat)) throw conflict(entry, 'what is no directory cannot replace a directory');
    await this.#tree.remove(parent, name, stat);
  }
}

/** The largest number means "unchanged" to the kernel. */
const checkOwner = ({ name, uid, gid }: TarEntry): void => {
  if (uid <= ID_MAX && gid <= ID_MAX) return;
  throw new ImageError(
    'LAYER_INVALID',
    `cannot unpack ${quote(name)}: no user or group has the number ${String(Math.max(uid, gid))}`,
    { path: name },
  );
};

const isSame = (one: Stat, other: Stat | undefined): boolean =>
  one.ino === other?.ino && one.devMajor === other.devMajor && one.devMinor === other.devMinor;

const conflict = ({ name }: TarEntry, why: string): ImageError =>
  new ImageError('ARCHIVE_CONFLICT', `cannot unpack ${quote(name)}: ${why}`, { path: name });

const noFile = ({ name, linkName }: TarEntry, where: string): ImageError =>
  new ImageError('LAYER_INVALID', `hard link ${quote(name)} to ${quote(linkName)}, which is no file${where}`);

const failed = (error: unknown, name: string): unknown => {
  if (isImageError(error) || !Error.isError(error) || !('code' in error)) return error;
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
