import { posix } from 'node:path';
import { BuilderError } from './errors.ts';

/** A file, directory or link, as a layer would hold it. */
export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission and set-id bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkTarget?: string | undefined;
  /** Where a file's bytes are: on this machine, */
  readonly sourcePath?: string | undefined;
  /** or right here. */
  readonly content?: string | undefined;
}

/**
 * A tree of files to copy from or onto. Paths have no leading slash, no `.` and no `..`; `''` is the root. Links are not
 * followed by the tree: {@link resolveInTree} does it, and never leaves the root.
 */
export interface FileTree {
  readonly lookup: (path: string) => TreeEntry | undefined;
  /** Names in a directory, in byte order. */
  readonly list: (path: string) => readonly string[];
}

/** How many links one path may lead through, as in the kernel. */
const MAX_LINKS = 40;

/** A path of a Dockerfile as a tree has it: below the root however many `..` it has. */
export const treePath = (path: string): string =>
  posix
    .normalize(`/${path}`)
    .split('/')
    .filter((part) => part !== '')
    .join('/');

export const joinPath = (directory: string, name: string): string => (directory === '' ? name : `${directory}/${name}`);

export interface Resolved {
  /** The path without links in it. */
  readonly path: string;
  /** undefined: nothing is there. */
  readonly entry: TreeEntry | undefined;
}

/**
 * Follows the links of a path inside a tree, as a process whose root the tree is would. A link to `/etc` or `../../etc` means
 * the tree's own `/etc`.
 *
 * @throws {@link BuilderError} `BUILDER_LIMIT`: over 40 links
 */
export function resolveInTree(
  tree: FileTree,
  path: string,
  { followLast }: { readonly followLast: boolean },
): Resolved {
  let pending = path.split('/').filter((part) => part !== '' && part !== '.');
  let parts: string[] = [];
  for (let links = 0; ;) {
    const next = pending.shift();
    if (next === undefined) return { path: parts.join('/'), entry: tree.lookup(parts.join('/')) };
    if (next === '..') {
      parts.pop();
      continue;
    }
    const here = [...parts, next].join('/');
    const entry = tree.lookup(here);
    if (entry?.type !== 'symlink' || (pending.length === 0 && !followLast)) {
      parts.push(next);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS)
      throw new BuilderError('BUILDER_LIMIT', `/${path}: leads through over ${String(MAX_LINKS)} links`);
    const target = entry.linkTarget ?? '';
    if (target.startsWith('/')) parts = [];
    pending = [...target.split('/').filter((part) => part !== '' && part !== '.'), ...pending];
  }
}

export const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
