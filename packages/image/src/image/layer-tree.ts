import { createHash, type Hash } from 'node:crypto';

import type { Digest } from '../digest.ts';
import { ImageError, quote } from '../errors.ts';
import { splitPath } from '../layer/directory-tree.ts';
import { classifyName } from '../layer/whiteout.ts';
import type { TarEntry, TarSink } from '../tar/entry.ts';
import { holeBytes, zeros } from './hole.ts';

/** A file as a layer has it, under any number of names. */
export interface Inode {
  readonly layer: number;
  /** Which member of the layer's archive it is, counted from 1. */
  readonly ordinal: number;
  /** Target of a symbolic link. */
  readonly linkTarget: string | undefined;
  /** Its header, and the digest of a regular file's bytes, where they are wanted. */
  readonly entry: TarEntry | undefined;
  digest: Digest | undefined;
}

export interface DirectoryNode {
  readonly type: 'directory';
  readonly parent: DirectoryNode | undefined;
  readonly depth: number;
  readonly children: Map<string, TreeNode>;
  /** Its header; none for one that is only led through. */
  entry: TarEntry | undefined;
  /** Nothing of the layers below shows in it. */
  isOpaque: boolean;
}

export interface FileNode {
  readonly type: 'file';
  readonly inode: Inode;
}

export type TreeNode = DirectoryNode | FileNode | { readonly type: 'whiteout' };

const WHITEOUT: TreeNode = { type: 'whiteout' };
const DEPTH_MAX = 1024;
const LINKS_MAX = 40;

export const makeDirectory = (parent?: DirectoryNode): DirectoryNode => {
  const depth = parent === undefined ? 0 : parent.depth + 1;
  if (depth > DEPTH_MAX)
    throw new ImageError('LAYER_LIMIT', `layer refused: deeper than ${String(DEPTH_MAX)} directories`);
  return { type: 'directory', parent, depth, children: new Map(), entry: undefined, isOpaque: false };
};

export interface LayerTreeOptions {
  /** The layer's number. */
  readonly layer: number;
  /** Keep headers of files, and hash them. */
  readonly describe?: boolean | undefined;
}

/**
 * The names of one layer, by the same rules as it is unpacked: a sink of its members that writes nothing. Symbolic links
 * of the layer that a name leads through are followed, inside the tree.
 */
export class LayerTree implements TarSink {
  readonly root: DirectoryNode = makeDirectory();
  readonly #options: LayerTreeOptions;
  #ordinal = 0;
  #inode: Inode | undefined;
  #hash: Hash = createHash('sha256');
  #hashed = 0;
  #holeBytes = 0;

  constructor(options: LayerTreeOptions) {
    this.#options = options;
  }

  entry(entry: TarEntry): void {
    this.#ordinal += 1;
    this.#inode = undefined;
    const parts = splitPath(entry.name);
    const name = parts.at(-1);
    if (name === undefined) {
      this.#setRoot(entry);
      return;
    }
    const meaning = classifyName(parts);
    if (meaning.type === 'bookkeeping') return;
    const parent = this.#directory(parts.slice(0, -1));
    if (meaning.type === 'opaque') parent.isOpaque = true;
    else if (meaning.type === 'whiteout') setWhiteout(parent, meaning.name);
    else this.#place(entry, parent, name);
  }

  async data(chunk: Buffer, offset: number): Promise<void> {
    if (this.#inode === undefined) return;
    await this.#hashHole(offset);
    this.#hash.update(chunk);
    this.#hashed += chunk.length;
  }

  async end(): Promise<void> {
    const inode = this.#inode;
    if (inode?.entry === undefined) return;
    await this.#hashHole(inode.entry.size);
    inode.digest = `sha256:${this.#hash.digest('hex')}`;
    this.#inode = undefined;
  }

  #setRoot(entry: TarEntry): void {
    if (entry.type !== 'directory')
      throw new ImageError('LAYER_INVALID', `${quote(entry.name)} names the root, which must be a directory`);
    this.root.entry = entry;
  }

  #place(entry: TarEntry, parent: DirectoryNode, name: string): void {
    if (entry.type === 'directory') placeDirectory(entry, parent, name);
    else if (entry.type === 'hardlink') parent.children.set(name, this.#linked(entry));
    // How overlayfs writes a whiteout, and so what a device of that number becomes.
    else if (entry.type === 'character' && entry.devMajor === 0 && entry.devMinor === 0)
      parent.children.set(name, WHITEOUT);
    else parent.children.set(name, { type: 'file', inode: this.#newInode(entry) });
  }

  #newInode(entry: TarEntry): Inode {
    const { layer, describe = false } = this.#options;
    const linkTarget = entry.type === 'symlink' ? entry.linkName : undefined;
    const inode: Inode = {
      layer,
      ordinal: this.#ordinal,
      linkTarget,
      entry: describe ? entry : undefined,
      digest: undefined,
    };
    if (describe && entry.type === 'file') {
      [this.#inode, this.#hash, this.#hashed] = [inode, createHash('sha256'), 0];
      this.#holeBytes = holeBytes(this.#holeBytes, entry);
    }
    return inode;
  }

  async #hashHole(to: number): Promise<void> {
    for await (const zero of zeros(to - this.#hashed)) this.#hash.update(zero);
    this.#hashed = Math.max(this.#hashed, to);
  }

  /** Another name of an earlier member. */
  #linked(entry: TarEntry): FileNode {
    const target = splitPath(entry.linkName);
    const name = target.at(-1);
    const isPlain = name !== undefined && classifyName(target).type === 'plain';
    const found = isPlain ? this.#directory(target.slice(0, -1)).children.get(name) : undefined;
    if (found?.type === 'file') return found;
    throw new ImageError(
      'LAYER_INVALID',
      `hard link ${quote(entry.name)} to ${quote(entry.linkName)}, which is no file of the layer`,
    );
  }

  /** The directory at a path, made with its parents if it is missing. */
  #directory(parts: readonly string[]): DirectoryNode {
    let directory = this.root;
    for (const name of parts) directory = this.#child(directory, name);
    return directory;
  }

  #child(parent: DirectoryNode, name: string): DirectoryNode {
    const found = parent.children.get(name);
    if (found?.type === 'directory') return found;
    if (found?.type === 'file') {
      const target = this.#follow(parent, found.inode.linkTarget, LINKS_MAX);
      if (target !== undefined) return target;
      throw new ImageError('LAYER_UNSAFE', `refused what is below ${quote(name)}: it is no directory of the layer`, {
        path: name,
      });
    }
    const made = makeDirectory(parent);
    // What was said to be gone from below stays so.
    made.isOpaque = found?.type === 'whiteout';
    parent.children.set(name, made);
    return made;
  }

  /** The directory that a symbolic link leads to, as the kernel finds it with this tree as its root. */
  #follow(from: DirectoryNode, target: string | undefined, links: number): DirectoryNode | undefined {
    if (target === undefined || target === '' || links === 0) return undefined;
    let at: DirectoryNode | undefined = target.startsWith('/') ? this.root : from;
    for (const part of target.split('/')) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at = at.parent ?? this.root;
        continue;
      }
      const next: TreeNode | undefined = at.children.get(part);
      if (next?.type === 'directory') at = next;
      else at = next?.type === 'file' ? this.#follow(at, next.inode.linkTarget, links - 1) : undefined;
      if (at === undefined) return undefined;
    }
    return at;
  }
}

const placeDirectory = (entry: TarEntry, parent: DirectoryNode, name: string): void => {
  const found = parent.children.get(name);
  if (found?.type === 'directory') {
    found.entry = entry;
    return;
  }
  const made = makeDirectory(parent);
  made.entry = entry;
  made.isOpaque = found?.type === 'whiteout';
  parent.children.set(name, made);
};

/** A name is gone from the layers below; what this layer itself has there stays. */
const setWhiteout = (parent: DirectoryNode, name: string): void => {
  const found = parent.children.get(name);
  if (found === undefined) parent.children.set(name, WHITEOUT);
  else if (found.type === 'directory') found.isOpaque = true;
};
