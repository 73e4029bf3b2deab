import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { Descriptor } from '../descriptor.ts';
import { chainIds, digestHex, type Digest } from '../digest.ts';
import { parseImageConfig } from '../image-config.ts';
import { parseIndex, parseManifest, type Index } from '../manifest.ts';
import { isIndexType, isManifestType } from '../media-types.ts';
import { findLayerRecord } from './commit.ts';
import { keepCompressed } from './compressed.ts';
import { fileBytes, measureTree } from './disk.ts';
import { readEntries, readStoreIndex } from './index-file.ts';
import { locked } from './lock.ts';
import { blobFile, type StorePaths } from './paths.ts';
import { heldContent, Workspace, type Kept } from './workspace.ts';

export interface Collected {
  readonly blobs: readonly Digest[];
  /** Chain ids. */
  readonly layers: readonly Digest[];
}

/** Directories of layers that must stay although no image has them: those of containers whose image was removed. */
export type LayersInUse = () => Iterable<string> | Promise<Iterable<string>>;

export interface CollectOptions {
  readonly layersInUse?: LayersInUse | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Wants to know how many disk bytes are free now. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Everything reachable from the index. A document that can't be read stops the collection: better garbage than loss. */
const markReachable = (paths: StorePaths, index: Index): Kept => {
  const blobs = new Set<string>();
  const layers = new Set<string>();
  const visit = (descriptor: Descriptor): void => {
    const hex = digestHex(descriptor.digest);
    if (blobs.has(hex)) return;
    blobs.add(hex);
    const file = blobFile(paths, descriptor.digest);
    if (isIndexType(descriptor.mediaType)) parseIndex(readFileSync(file), file).manifests.forEach(visit);
    if (!isManifestType(descriptor.mediaType)) return;
    const manifest = parseManifest(readFileSync(file), file);
    [manifest.config, ...manifest.layers].forEach(({ digest }) => blobs.add(digestHex(digest)));
  };
  index.manifests.forEach(visit);
  const diffIds = new Set<string>();
  for (const { id, repoDigests } of readEntries(index)) {
    const { rootfs } = parseImageConfig(readFileSync(blobFile(paths, id)), id);
    rootfs.diff_ids.forEach((diffId) => diffIds.add(digestHex(diffId)));
    chainIds(rootfs.diff_ids).forEach((chainId) => layers.add(digestHex(chainId)));
    // The index that the image was picked from, which tells the next pull whether anything is new.
    repoDigests.forEach((name) => blobs.add(name.slice(name.indexOf(':', name.indexOf('@')) + 1)));
  }
  keepCompressed(paths, diffIds).forEach((hex) => blobs.add(hex));
  return { blobs, layers };
};

const HEX = /^[0-9a-f]{64}$/;

/**
 * Removes blobs and layers that no image has, no running write holds and no container uses. Under the store's lock they
 * only lose their names; the work of removing comes after.
 */
export const collectGarbage = async (paths: StorePaths, options: CollectOptions = {}): Promise<Collected> => {
  await using work = await Workspace.create(paths, options.signal);
  const dropped = await locked(paths.lockFile, options.signal, async () => {
    const used = new Set([...((await options.layersInUse?.()) ?? [])].map((dir) => basename(dir)));
    return dropGarbage(paths, work, used);
  });
  if (options.onBytes !== undefined) options.onBytes(await measureDropped(work, dropped));
  return { blobs: dropped.blobs.map(asDigest), layers: dropped.layers.map(({ hex }) => asDigest(hex)) };
};

const measureDropped = async (work: Workspace, { blobs, layers }: Dropped): Promise<number> => {
  let bytes = 0;
  for (const { hex, diskBytes } of layers) bytes += diskBytes ?? (await measureTree(work.path(hex)));
  for (const hex of blobs) bytes += fileBytes(work.path(`blob-${hex}`));
  return bytes;
};

const asDigest = (hex: string): Digest => `sha256:${hex}`;

interface Dropped {
  readonly blobs: readonly string[];
  readonly layers: readonly { readonly hex: string; readonly diskBytes: number | undefined }[];
}

/** All goes into the workspace, which is removed when the lock is free again. */
const dropGarbage = (paths: StorePaths, work: Workspace, used: ReadonlySet<string>): Dropped => {
  const [marked, held] = [markReachable(paths, readStoreIndex(paths)), heldContent(paths)];
  const isGarbageLayer = (hex: string): boolean => !marked.layers.has(hex) && !held.layers.has(hex) && !used.has(hex);
  const layers = readdirSync(paths.layersDir)
    .filter((name) => HEX.test(name) && isGarbageLayer(name))
    .map((hex) => ({ hex, diskBytes: findLayerRecord(paths, asDigest(hex))?.diskBytes }));
  for (const { hex } of layers) renameSync(join(paths.layersDir, hex), work.path(hex));
  removeLoneRecords(paths);
  const blobs = readdirSync(paths.blobsDir).filter((hex) => !marked.blobs.has(hex) && !held.blobs.has(hex));
  for (const hex of blobs) renameSync(join(paths.blobsDir, hex), work.path(`blob-${hex}`));
  return { blobs, layers };
};

/** The record of a layer is written before the layer comes, and goes after it. */
const removeLoneRecords = (paths: StorePaths): void => {
  const names = new Set(readdirSync(paths.layersDir));
  for (const name of names) {
    if (name.endsWith('.json') && !names.has(name.slice(0, -'.json'.length))) rmSync(join(paths.layersDir, name));
  }
};
