import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { walkDirectory } from '@tsc/image';
import { entryOf, statOrNothing } from './disk-tree.ts';
import { compareBytes } from './file-tree.ts';
import type { FileTree, TreeEntry } from './file-tree.ts';

/**
 * One layer of an image: files that this build put into it, by path; or the directory that the store unpacked it to, in which
 * a device 0:0 is a whiteout, as overlayfs has it.
 */
export type TreeLayer =
  | { readonly type: 'files'; readonly files: ReadonlyMap<string, TreeEntry> }
  | { readonly type: 'directory'; readonly dir: string };

/** What one layer says about a path: its entry, that the path is gone, or nothing. */
type Said = TreeEntry | 'whiteout' | undefined;

/** The files of an image: of each path, what the topmost layer says that says something. */
export const layeredTree = (topmostFirst: readonly TreeLayer[]): FileTree => {
  const layers = topmostFirst.map((layer) => ({ layer, hides: rememberOpaque(layer) }));
  return { lookup: (path) => lookup(layers, path), list: (path) => list(layers, path) };
};

interface SeenLayer {
  readonly layer: TreeLayer;
  /** Whether the layer replaces the directory, or one above it, so that nothing of lower layers shows in it. */
  readonly hides: (directory: string) => boolean;
}

const ROOT: TreeEntry = { type: 'directory', mode: 0o755, uid: 0, gid: 0 };

function lookup(layers: readonly SeenLayer[], path: string): TreeEntry | undefined {
  for (const { layer, hides } of layers) {
    const said = ask(layer, path);
    if (said === 'whiteout') return undefined;
    if (said !== undefined) return said;
    if (path !== '' && hides(parentOf(path))) return undefined;
  }
  return path === '' ? ROOT : undefined;
}

/** A whiteout or a file above a path hides what lower layers have there. */
function ask(layer: TreeLayer, path: string): Said {
  const parts = path === '' ? [] : path.split('/');
  for (let depth = 1; depth < parts.length; depth += 1) {
    const above = askOne(layer, parts.slice(0, depth).join('/'));
    if (above === undefined) return undefined;
    if (above === 'whiteout' || above.type !== 'directory') return 'whiteout';
  }
  return askOne(layer, path);
}

function askOne(layer: TreeLayer, path: string): Said {
  if (layer.type === 'files') return layer.files.get(path);
  const target = join(layer.dir, path);
  const stat = statOrNothing(target);
  if (stat === undefined) return undefined;
  return stat.isCharacterDevice() && stat.rdev === 0 ? 'whiteout' : entryOf(target, stat);
}

const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));

/** Each directory is looked at once: a tree of many files asks for the same ones again and again. */
function rememberOpaque(layer: TreeLayer): (directory: string) => boolean {
  if (layer.type === 'files') return () => false;
  const known = new Map<string, boolean>();
  const hides = (directory: string): boolean => {
    const before = known.get(directory);
    if (before !== undefined) return before;
    const found = (directory !== '' && hides(parentOf(directory))) || isOpaque(join(layer.dir, directory));
    known.set(directory, found);
    return found;
  };
  return hides;
}

/** The mark is an attribute; the walk shows it as the layer's tar archive has it, right after the directory. */
function isOpaque(dir: string): boolean {
  if (statOrNothing(dir)?.isDirectory() !== true) return false;
  let seen = 0;
  for (const { name } of walkDirectory(dir, { overlay: true })) {
    if (name === OPAQUE) return true;
    seen += 1;
    if (seen === 2) break;
  }
  return false;
}

const OPAQUE = '.wh..wh..opq';

function list(layers: readonly SeenLayer[], path: string): readonly string[] {
  const names = new Set<string>();
  const gone = new Set<string>();
  for (const { layer, hides } of layers) {
    const said = ask(layer, path);
    if (said === 'whiteout' || (said !== undefined && said.type !== 'directory')) break;
    for (const name of said === undefined ? [] : namesIn(layer, path)) {
      if (gone.has(name) || names.has(name)) continue;
      if (askOne(layer, path === '' ? name : `${path}/${name}`) === 'whiteout') gone.add(name);
      else names.add(name);
    }
    if (hides(path)) break;
  }
  return [...names].sort(compareBytes);
}

function namesIn(layer: TreeLayer, path: string): readonly string[] {
  if (layer.type === 'directory') return readdirSync(join(layer.dir, path));
  const prefix = path === '' ? '' : `${path}/`;
  return [...layer.files.keys()]
    .filter((file) => file !== '' && file.startsWith(prefix) && !file.slice(prefix.length).includes('/'))
    .map((file) => file.slice(prefix.length));
}
