import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { Descriptor } from '../descriptor.ts';
import { chainIds, digestHex, type Digest } from '../digest.ts';
import { parseImageConfig } from '../image-config.ts';
import { parseIndex, parseManifest, type Index } from '../manifest.ts';
import { isIndexType, isManifestType } from '../media-types.ts';
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
  for (const { id } of readEntries(index)) {
    const { rootfs } = parseImageConfig(readFileSync(blobFile(paths, id)), id);
    chainIds(rootfs.diff_ids).forEach((chainId) => layers.add(digestHex(chainId)));
  }
  return { blobs, layers };
};

const HEX = /^[0-9a-f]{64}$/;

/**
 * Removes blobs and layers that no image has, no running write holds and no container uses. Under the store's lock they
 * only lose their names; the work of removing comes after.
 */
export const collectGarbage = async (
  paths: StorePaths,
  options: { readonly layersInUse?: LayersInUse | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Collected> => {
  await using work = await Workspace.create(paths, options.signal);
  return await locked(paths.lockFile, options.signal, async () => {
    const used = new Set([...((await options.layersInUse?.()) ?? [])].map((dir) => basename(dir)));
    return dropGarbage(paths, work, used);
  });
};

/** Layers go into the workspace, which is removed when the lock is free again. */
const dropGarbage = (paths: StorePaths, work: Workspace, used: ReadonlySet<string>): Collected => {
  const [marked, held] = [markReachable(paths, readStoreIndex(paths)), heldContent(paths)];
  const isGarbageLayer = (hex: string): boolean => !marked.layers.has(hex) && !held.layers.has(hex) && !used.has(hex);
  const layers = readdirSync(paths.layersDir).filter((name) => HEX.test(name) && isGarbageLayer(name));
  for (const hex of layers) renameSync(join(paths.layersDir, hex), work.path(hex));
  removeLoneRecords(paths);
  const blobs = readdirSync(paths.blobsDir).filter((hex) => !marked.blobs.has(hex) && !held.blobs.has(hex));
  for (const hex of blobs) rmSync(join(paths.blobsDir, hex));
  return { blobs: blobs.map((hex): Digest => `sha256:${hex}`), layers: layers.map((hex): Digest => `sha256:${hex}`) };
};

/** The record of a layer is written before the layer comes, and goes after it. */
const removeLoneRecords = (paths: StorePaths): void => {
  const names = new Set(readdirSync(paths.layersDir));
  for (const name of names) {
    if (name.endsWith('.json') && !names.has(name.slice(0, -'.json'.length))) rmSync(join(paths.layersDir, name));
  }
};
