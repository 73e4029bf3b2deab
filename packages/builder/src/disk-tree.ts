import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { compareBytes } from './file-tree.ts';
import type { FileTree, TreeEntry } from './file-tree.ts';

const MODE_BITS = 0o7777;

/** `lstat`, with undefined for what is not there. */
export function statOrNothing(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    const code = Error.isError(error) && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** What a path on this machine is, without following a link. */
export function entryOf(path: string, stat: Stats): TreeEntry {
  const common = { mode: stat.mode & MODE_BITS, uid: stat.uid, gid: stat.gid };
  if (stat.isDirectory()) return { ...common, type: 'directory' };
  if (stat.isSymbolicLink()) return { ...common, type: 'symlink', linkTarget: readlinkSync(path) };
  return stat.isFile() ? { ...common, type: 'file', sourcePath: path } : { ...common, type: 'other' };
}

/**
 * A directory of this machine as a tree. A path is walked component by component, and one that leads through a link or a
 * file is not there: so no link in the directory leads out of it.
 */
export const diskTree = (rootDir: string): FileTree => ({
  lookup: (path) => lookup(rootDir, path),
  list: (path) =>
    lookup(rootDir, path)?.type === 'directory' ? readdirSync(join(rootDir, path)).sort(compareBytes) : [],
});

function lookup(rootDir: string, path: string): TreeEntry | undefined {
  const parts = path === '' ? [] : path.split('/');
  let here = rootDir;
  for (const part of parts.slice(0, -1)) {
    here = join(here, part);
    if (statOrNothing(here)?.isDirectory() !== true) return undefined;
  }
  const last = parts.at(-1);
  const target = last === undefined ? here : join(here, last);
  const stat = statOrNothing(target);
  return stat === undefined ? undefined : entryOf(target, stat);
}
