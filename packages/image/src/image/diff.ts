import { isDeepStrictEqual } from 'node:util';

import type { Digest } from '../digest.ts';
import { compact } from '../document.ts';
import type { TarEntry, TarEntryType } from '../tar/entry.ts';
import type { Image } from './image.ts';
import { makeDirectory, type DirectoryNode, type TreeNode } from './layer-tree.ts';
import { addLayers, copyTree, walkTree } from './merged-tree.ts';
import type { ReadLayerOptions } from './verified-layer.ts';

/** A member of the config that is not the same; a list counts as one. */
export interface ConfigChange {
  /** `config.Env`, `architecture`. */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** A file as an image shows it. */
export interface FileState {
  readonly type: Exclude<TarEntryType, 'hardlink'>;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly linkTarget?: string | undefined;
  /** Of a regular file's bytes. */
  readonly digest?: Digest | undefined;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** `major:minor` of a device. */
  readonly device?: string | undefined;
}

export type FileAspect = 'type' | 'content' | 'target' | 'device' | 'mode' | 'owner' | 'xattrs' | 'time';

export interface FileChange {
  readonly path: string;
  readonly kind: 'added' | 'removed' | 'modified';
  readonly before?: FileState | undefined;
  readonly after?: FileState | undefined;
  /** In what a modified file differs. */
  readonly aspects: readonly FileAspect[];
}

export interface ImageDiff {
  /** Without layers and history. */
  readonly config: readonly ConfigChange[];
  /** Diff ids, the lowest first. */
  readonly layers: {
    readonly common: readonly Digest[];
    readonly removed: readonly Digest[];
    readonly added: readonly Digest[];
  };
  /** Of the trees that containers see, by path. */
  readonly files: readonly FileChange[];
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const compareJson = (before: Json, after: Json, prefix: string): readonly ConfigChange[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((key) => {
    const [old, now, path] = [before[key], after[key], `${prefix}${key}`];
    if (isDeepStrictEqual(old, now)) return [];
    if (isObject(old) && isObject(now)) return compareJson(old, now, `${path}.`);
    return [compact({ path, before: old, after: now })];
  });

const compareConfigs = (before: Image, after: Image): readonly ConfigChange[] => {
  const rest = ({ config }: Image): Json => {
    const { rootfs: _, history: __, ...others } = config;
    return others;
  };
  return compareJson(rest(before), rest(after), '');
};

/** A directory that layers only lead through, as it is unpacked. */
const IMPLICIT: FileState = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};

const stateOf = (node: TreeNode): FileState => {
  if (node.type === 'directory') return node.entry === undefined ? IMPLICIT : describe(node.entry, undefined);
  if (node.type === 'whiteout') throw new TypeError('a merged tree has no whiteouts');
  return describe(node.inode.entry as TarEntry, node.inode.digest);
};

const describe = (entry: TarEntry, digest: Digest | undefined): FileState => {
  const isDevice = entry.type === 'character' || entry.type === 'block';
  return compact({
    type: entry.type as FileState['type'],
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.type === 'file' ? entry.size : 0,
    mtimeNs: entry.mtimeNs,
    linkTarget: entry.type === 'symlink' ? entry.linkName : undefined,
    digest,
    xattrs: entry.xattrs,
    device: isDevice ? `${String(entry.devMajor)}:${String(entry.devMinor)}` : undefined,
  });
};

const ASPECTS: readonly (readonly [FileAspect, (state: FileState) => unknown])[] = [
  ['type', ({ type }) => type],
  ['content', ({ digest }) => digest],
  ['target', ({ linkTarget }) => linkTarget],
  ['device', ({ device }) => device],
  ['mode', ({ mode }) => mode],
  ['owner', ({ uid, gid }) => [uid, gid]],
  ['xattrs', ({ xattrs }) => xattrs],
  ['time', ({ mtimeNs }) => mtimeNs],
];

const compareFiles = (path: string, old: TreeNode | undefined, now: TreeNode | undefined): readonly FileChange[] => {
  if (old?.type === 'file' && now?.type === 'file' && old.inode === now.inode) return [];
  const [before, after] = [old && stateOf(old), now && stateOf(now)];
  if (before === undefined || after === undefined)
    return [
      compact({
        path,
        kind: before === undefined ? ('added' as const) : ('removed' as const),
        before,
        after,
        aspects: [],
      }),
    ];
  const aspects = ASPECTS.filter(([, read]) => !isDeepStrictEqual(read(before), read(after))).map(([name]) => name);
  return aspects.length === 0 ? [] : [{ path, kind: 'modified', before, after, aspects }];
};

const compareTrees = (before: DirectoryNode, after: DirectoryNode): readonly FileChange[] => {
  const names = (tree: DirectoryNode): Map<string, TreeNode> =>
    new Map([...walkTree(tree)].map(({ path, node }) => [path, node]));
  const [old, now] = [names(before), names(after)];
  const paths = [...new Set([...old.keys(), ...now.keys()])].sort();
  return paths.flatMap((path) => compareFiles(path, old.get(path), now.get(path)));
};

/**
 * Says how two images differ: in their configs, their layers, and file by file in what containers of them see. Reads every
 * layer once, those that both begin with once for both; nothing is unpacked.
 *
 * @throws {@link ImageError} as `extractImage`
 */
export const diffImages = async (before: Image, after: Image, options: ReadLayerOptions = {}): Promise<ImageDiff> => {
  const [old, now] = [before.config.rootfs.diff_ids, after.config.rootfs.diff_ids];
  const differ = old.findIndex((diffId, i) => diffId !== now[i]);
  const shared = differ < 0 ? old.length : differ;
  const read = { ...options, describe: true };
  const base = await addLayers(makeDirectory(), before.layers.slice(0, shared), read);
  const above = { ...read, first: shared };
  const left = await addLayers(copyTree(base), before.layers.slice(shared), above);
  const right = await addLayers(base, after.layers.slice(shared), above);
  return {
    config: compareConfigs(before, after),
    layers: { common: old.slice(0, shared), removed: old.slice(shared), added: now.slice(shared) },
    files: compareTrees(left, right),
  };
};
