import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

import { hasCode } from '@tsc/sys';

import type { Digest } from '../digest.ts';
import { asDigest, asInteger, optional, parseDocument, requiredMember } from '../document.ts';
import { syncFile, syncPath, syncTree } from './durable.ts';
import { addName, readStoreIndex, writeStoreIndex, type IndexEntry } from './index-file.ts';
import { locked } from './lock.ts';
import { blobFile, layerDir, type StorePaths } from './paths.ts';

/** What is known of an unpacked layer without walking it; stored beside its directory. */
export interface LayerRecord {
  readonly diffId: Digest;
  readonly contentBytes: number;
  /** What the directory takes on disk, once somebody has measured it. */
  readonly diskBytes?: number | undefined;
}

/** Content in a workspace, complete and verified, that waits for its place. */
export interface Staged {
  /** Files by digest. */
  readonly blobs: Map<Digest, string>;
  /** Directories and what is known of them, by chain id. */
  readonly layers: Map<Digest, { readonly dir: string; readonly record: LayerRecord }>;
}

export interface NamedEntry {
  readonly entry: IndexEntry;
  /** Full references; none for an image known by its id only. */
  readonly names: readonly string[];
}

export const layerRecordFile = (paths: StorePaths, chainId: Digest): string => `${layerDir(paths, chainId)}.json`;

export const readLayerRecord = (paths: StorePaths, chainId: Digest): LayerRecord => {
  const file = layerRecordFile(paths, chainId);
  const node = parseDocument(readFileSync(file), file);
  return {
    diffId: asDigest(requiredMember(node, 'diffId')),
    contentBytes: asInteger(requiredMember(node, 'contentBytes')),
    diskBytes: optional(node, 'diskBytes', asInteger),
  };
};

/** The same, or nothing when the layer goes at this moment. */
export const findLayerRecord = (paths: StorePaths, chainId: Digest): LayerRecord | undefined => {
  try {
    return readLayerRecord(paths, chainId);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

/**
 * Puts staged content into place and then names it, so that a reader sees whole images only. Killed in between, it
 * leaves content that nothing names, for the next garbage collection. What gets a name is on the disk before.
 */
export const commit = async (
  paths: StorePaths,
  staged: Staged,
  { images, signal }: { readonly images: readonly NamedEntry[]; readonly signal?: AbortSignal | undefined },
): Promise<void> => {
  for (const { dir, record } of staged.layers.values())
    writeFileSync(recordBeside(dir), JSON.stringify(record), { mode: 0o600 });
  // One call for a tree of any size, and all trees at once; where there is none, the files of a few documents are cheaper.
  if (staged.layers.size > 0) await syncTree(paths.rootDir);
  else for (const file of staged.blobs.values()) await syncFile(file);
  signal?.throwIfAborted();
  await locked(paths.lockFile, signal, () => {
    placeAll(paths, staged);
    let index = readStoreIndex(paths);
    for (const { entry, names } of images) {
      for (const name of names.length === 0 ? [undefined] : names) index = addName(index, entry, name);
    }
    writeStoreIndex(paths, index);
  });
};

const recordBeside = (dir: string): string => `${dir}.json`;

const placeAll = (paths: StorePaths, staged: Staged): void => {
  for (const [chainId, { dir }] of staged.layers) placeLayer(paths, chainId, dir);
  for (const [digest, file] of staged.blobs)
    if (!existsSync(blobFile(paths, digest))) renameSync(file, blobFile(paths, digest));
  syncPath(paths.layersDir);
  syncPath(paths.blobsDir);
};

/** Another process may have unpacked the same layer meanwhile; its directory is as good. */
const placeLayer = (paths: StorePaths, chainId: Digest, dir: string): void => {
  const target = layerDir(paths, chainId);
  if (existsSync(target)) return;
  renameSync(recordBeside(dir), layerRecordFile(paths, chainId));
  renameSync(dir, target);
};
