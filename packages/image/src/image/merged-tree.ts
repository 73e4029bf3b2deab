import type { Image, Layer } from './image.ts';
import { LayerTree, makeDirectory, type DirectoryNode, type TreeNode } from './layer-tree.ts';
import { readVerifiedLayer, type ReadLayerOptions } from './verified-layer.ts';

/** Puts a layer over what is there, as overlayfs shows it; a directory that a layer only leads through stays as it is. */
const overlay = (base: DirectoryNode, upper: DirectoryNode): void => {
  if (upper.isOpaque) base.children.clear();
  base.entry = upper.entry ?? base.entry;
  for (const [name, node] of upper.children) {
    if (node.type === 'whiteout') base.children.delete(name);
    else if (node.type === 'file') base.children.set(name, node);
    else overlay(directoryAt(base, name), node);
  }
};

const directoryAt = (parent: DirectoryNode, name: string): DirectoryNode => {
  const found = parent.children.get(name);
  if (found?.type === 'directory') return found;
  const made = makeDirectory(parent);
  parent.children.set(name, made);
  return made;
};

export interface MergeOptions extends ReadLayerOptions {
  /** Keep headers of files, and hash them. */
  readonly describe?: boolean | undefined;
  /** The number of the first layer; default 0. */
  readonly first?: number | undefined;
}

/** Reads layers, the lowest first, and puts their names over a tree. Every layer is verified on the way. */
export const addLayers = async (
  tree: DirectoryNode,
  layers: readonly Layer[],
  { describe, first = 0, ...options }: MergeOptions,
): Promise<DirectoryNode> => {
  for (const [i, layer] of layers.entries()) {
    const names = new LayerTree({ layer: first + i, describe });
    await readVerifiedLayer(layer, names, options);
    overlay(tree, names.root);
  }
  return tree;
};

export const mergedTree = (image: Image, options: MergeOptions): Promise<DirectoryNode> =>
  addLayers(makeDirectory(), image.layers, options);

/** The same tree, to be changed apart; files are shared. */
export const copyTree = (tree: DirectoryNode, parent?: DirectoryNode): DirectoryNode => {
  const copy = makeDirectory(parent);
  copy.entry = tree.entry;
  for (const [name, node] of tree.children)
    copy.children.set(name, node.type === 'directory' ? copyTree(node, copy) : node);
  return copy;
};

/** Every name of a tree, directories before what is in them, in the order of their names. */
export function* walkTree(
  directory: DirectoryNode,
  path: string = '',
): Generator<{ readonly path: string; readonly node: TreeNode }, void, void> {
  const byName = [...directory.children].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, node] of byName) {
    const below = path === '' ? name : `${path}/${name}`;
    yield { path: below, node };
    if (node.type === 'directory') yield* walkTree(node, below);
  }
}
