import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Digest } from '../digest.ts';
import { findLayerRecord, layerRecordFile, type LayerRecord } from './commit.ts';
import { compressedBlobs } from './compressed.ts';
import { readContents, type ImageContents } from './contents.ts';
import { DiskMeter, fileBytes, measureTree, namesIn } from './disk.ts';
import { replaceFile } from './durable.ts';
import { readEntries, readStoreIndex } from './index-file.ts';
import { locked } from './lock.ts';
import { layerDir, type StorePaths } from './paths.ts';
import type { ImagesInUse } from './prune.ts';

/** Disk bytes: what `du` counts, with whole blocks and directories, and hard links once. */
export interface ImageUsage {
  readonly id: Digest;
  /** Of its unpacked layers and its blobs. */
  readonly sizeBytes: number;
  /** The part of it that other images have too. */
  readonly sharedBytes: number;
  /** The part that goes when the image goes. */
  readonly uniqueBytes: number;
}

export interface KindUsage {
  readonly count: number;
  readonly bytes: number;
}

/** Where the disk went. */
export interface StoreUsage {
  readonly images: readonly ImageUsage[];
  /** Unpacked layers. */
  readonly layers: KindUsage;
  /** Manifests, configs and packed layers, with the compressed ones that are kept for the next push. */
  readonly blobs: KindUsage;
  /** Layers that were not fetched to their end, and go on from there. */
  readonly downloads: KindUsage;
  /** What would go with all images that `inUse` doesn't know. */
  readonly reclaimableBytes: number;
  /** Disk bytes of all that the store has below its root, as `du -s --block-size=1` counts them. */
  readonly total: number;
}

export interface UsageOptions {
  readonly signal?: AbortSignal | undefined;
  readonly inUse?: ImagesInUse | undefined;
}

const HEX = /^[0-9a-f]{64}$/;

/** What each file of the store costs, by name. */
interface Costs {
  readonly blobs: ReadonlyMap<string, number>;
  readonly layers: ReadonlyMap<string, number>;
}

/** See {@link ImageStore.usage}. */
export const measureStore = async (paths: StorePaths, { signal, inUse }: UsageOptions): Promise<StoreUsage> => {
  signal?.throwIfAborted();
  const meter = new DiskMeter();
  const layers = await measureLayers(paths, meter, signal);
  const blobs = new Map(namesIn(paths.blobsDir).map((hex) => [hex, meter.addPath(join(paths.blobsDir, hex))]));
  const downloads = await measureEach(meter, paths.downloadsDir, signal);
  for (const dir of [paths.workDir, paths.compressedDir]) await meter.addTree(dir, signal);
  for (const path of fixedPaths(paths)) meter.addPath(path);
  const images = await locked(paths.lockFile, signal, () =>
    withCompressed(paths, readContents(paths, readEntries(readStoreIndex(paths)))),
  );
  const used = new Set(await inUse?.());
  return {
    images: shareOut(images, { blobs, layers }),
    layers: tally(layers),
    blobs: tally(blobs),
    downloads: tally(downloads),
    reclaimableBytes: reclaimable(images, { blobs, layers }, (id) => inUse === undefined || used.has(id)),
    total: meter.bytes,
  };
};

const fixedPaths = (paths: StorePaths): readonly string[] => [
  paths.rootDir,
  paths.contentDir,
  dirname(paths.blobsDir),
  paths.blobsDir,
  paths.layersDir,
  paths.downloadsDir,
  paths.indexFile,
  paths.layoutFile,
  paths.lockFile,
];

const tally = (costs: ReadonlyMap<string, number>): KindUsage => ({
  count: costs.size,
  bytes: [...costs.values()].reduce((sum, bytes) => sum + bytes, 0),
});

const measureEach = async (
  meter: DiskMeter,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> => {
  const costs = new Map<string, number>();
  for (const name of namesIn(dir)) costs.set(name, await meter.addTree(join(dir, name), signal));
  return costs;
};

/** Trees don't change, so a record keeps what its tree takes. */
const measureLayers = async (
  paths: StorePaths,
  meter: DiskMeter,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> => {
  const costs = new Map<string, number>();
  for (const hex of namesIn(paths.layersDir).filter((name) => HEX.test(name))) {
    const chainId: Digest = `sha256:${hex}`;
    const record = findLayerRecord(paths, chainId);
    if (record === undefined) continue;
    const tree = record.diskBytes ?? (await measureLayer(paths, chainId, { record, signal }));
    costs.set(hex, tree + fileBytes(layerRecordFile(paths, chainId)));
  }
  for (const bytes of costs.values()) meter.bytes += bytes;
  return costs;
};

const measureLayer = async (
  paths: StorePaths,
  chainId: Digest,
  { record, signal }: { readonly record: LayerRecord; readonly signal: AbortSignal | undefined },
): Promise<number> => {
  const diskBytes = await measureTree(layerDir(paths, chainId), signal);
  await locked(paths.lockFile, signal, () => {
    // Gone meanwhile, it must get no record.
    if (existsSync(layerDir(paths, chainId)))
      replaceFile(layerRecordFile(paths, chainId), JSON.stringify({ ...record, diskBytes }));
  });
  return diskBytes;
};

/** The compressed form of a layer counts with every image that has the layer. */
const withCompressed = (paths: StorePaths, images: readonly ImageContents[]): readonly ImageContents[] => {
  const made = compressedBlobs(paths);
  return images.map((image) => ({
    ...image,
    blobs: new Set([
      ...image.blobs,
      ...made.filter(({ diffHex }) => image.diffIds.includes(diffHex)).map(({ blobHex }) => blobHex),
    ]),
  }));
};

/** How many of the images have each file. */
const countUsers = (sets: readonly Iterable<string>[]): ReadonlyMap<string, number> => {
  const users = new Map<string, number>();
  for (const set of sets) for (const name of set) users.set(name, (users.get(name) ?? 0) + 1);
  return users;
};

const shareOut = (images: readonly ImageContents[], costs: Costs): readonly ImageUsage[] => {
  const users = {
    blobs: countUsers(images.map(({ blobs }) => blobs)),
    layers: countUsers(images.map(({ layers }) => layers)),
  };
  return images.map(({ id, ...contents }) => {
    let [uniqueBytes, sharedBytes] = [0, 0];
    for (const kind of ['blobs', 'layers'] as const) {
      for (const name of contents[kind]) {
        const bytes = costs[kind].get(name) ?? 0;
        if (users[kind].get(name) === 1) uniqueBytes += bytes;
        else sharedBytes += bytes;
      }
    }
    return { id, sizeBytes: uniqueBytes + sharedBytes, sharedBytes, uniqueBytes };
  });
};

const reclaimable = (images: readonly ImageContents[], costs: Costs, isUsed: (id: Digest) => boolean): number => {
  const staying = images.filter(({ id }) => isUsed(id));
  const going = images.filter(({ id }) => !isUsed(id));
  return (['blobs', 'layers'] as const)
    .map((kind) => {
      const kept = new Set(staying.flatMap((image) => [...image[kind]]));
      const names = new Set(going.flatMap((image) => [...image[kind]]));
      return [...names].filter((name) => !kept.has(name)).reduce((sum, name) => sum + (costs[kind].get(name) ?? 0), 0);
    })
    .reduce((sum, bytes) => sum + bytes, 0);
};
