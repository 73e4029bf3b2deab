import { readdirSync } from 'node:fs';
import { join } from 'node:path';
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
export const layeredTree = (topmostFirst: readonly TreeLayer[]): FileTree => ({
  lookup: (path) => lookup(topmostFirst, path),
  list: (path) => list(topmostFirst, path),
});

const ROOT: TreeEntry = { type: 'directory', mode: 0o755, uid: 0, gid: 0 };

function lookup(layers: readonly TreeLayer[], path: string): TreeEntry | undefined {
  for (const layer of layers) {
    const said = ask(layer, path);
    if (said === 'whiteout') return undefined;
    if (said !== undefined) return said;
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

function list(layers: readonly TreeLayer[], path: string): readonly string[] {
  const names = new Set<string>();
  const gone = new Set<string>();
  for (const layer of layers) {
    const said = ask(layer, path);
    if (said === 'whiteout' || (said !== undefined && said.type !== 'directory')) break;
    if (said === undefined) continue;
    for (const name of namesIn(layer, path)) {
      if (gone.has(name) || names.has(name)) continue;
      if (askOne(layer, path === '' ? name : `${path}/${name}`) === 'whiteout') gone.add(name);
      else names.add(name);
    }
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
