import { mkdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { hasCode } from '@tsc/sys';

import { chainIds, digestOf, type Digest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import { parseImageConfig, type ImageConfig } from '../image-config.ts';
import type { OpenOptions } from '../image/blob.ts';
import { openRegularFile, streamFile } from '../image/file-range.ts';
import { readImage, type Image } from '../image/image.ts';
import type { LayerLimits } from '../layer/unpack.ts';
import { parseManifest, type Manifest } from '../manifest.ts';
import { formatReference, parseReference } from '../reference.ts';
import { commit, readLayerRecord } from './commit.ts';
import { sweepDownloads } from './download-dir.ts';
import { replaceFile } from './durable.ts';
import { collectGarbage, type Collected, type LayersInUse } from './garbage.ts';
import {
  addName,
  EMPTY_INDEX,
  readEntries,
  readStoreIndex,
  addRepoDigest,
  removeImages,
  removeReferences,
  writeStoreIndex,
  type IndexEntry,
} from './index-file.ts';
import { Ingest } from './ingest.ts';
import { locked } from './lock.ts';
import { familiarDigestsOf, findImage, namesOf } from './lookup.ts';
import { blobFile, layerDir, storePaths, type StorePaths } from './paths.ts';
import { pruneStore, type ImagesInUse, type PruneOptions, type PruneReport } from './prune.ts';
import { familiarReferences, planRemoval } from './removal.ts';
import { measureStore, type StoreUsage } from './usage.ts';
import { sweepWorkspaces, Workspace } from './workspace.ts';

export interface StoredLayer {
  /** Of the blob, compressed or not. */
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** Bytes of the files in it. */
  readonly sizeBytes: number;
}

/** An image as the store knows it. */
export interface StoredImage {
  /** Digest of the config. */
  readonly id: Digest;
  /** Short forms, sorted: `debian:latest`. */
  readonly names: readonly string[];
  /** Where registries have it: `debian@sha256:…`, sorted. */
  readonly repoDigests: readonly string[];
  readonly manifestDigest: Digest;
  /** The lowest first. */
  readonly layers: readonly StoredLayer[];
  readonly config: ImageConfig;
  /** Unpacked layers, topmost first, as overlayfs lists lower directories. */
  readonly layerDirs: readonly string[];
  /** Bytes of the files in the layers. */
  readonly sizeBytes: number;
  /** RFC 3339. */
  readonly created: string | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends CallOptions {
  /** References to give the image; another image that has one loses it. */
  readonly names?: readonly string[] | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
}

/** What `docker rmi` prints. */
export interface RemoveReport {
  /** Names that went, in short form. */
  readonly untagged: readonly string[];
  /** The image's id, then the chain ids of its layers that nothing else needed, topmost first. */
  readonly deleted: readonly Digest[];
}

export interface SweepReport extends Collected {
  /** Leftovers of writers that died. */
  readonly workspaces: number;
  /** Layers that were not fetched to their end. */
  readonly downloads: number;
}

export interface ImageStoreOptions {
  /** The data root; `content/`, `layers/`, `work/` and a lock file are made in it. */
  readonly rootDir: string;
  /** Asked under the store's lock whenever content is about to be removed. */
  readonly layersInUse?: LayersInUse | undefined;
}

/** Every name in full form. @throws {@link ImageError} `REFERENCE_INVALID`: also for a name with a digest */
export const storeNames = (names: readonly string[]): readonly string[] =>
  names.map((name) => {
    const reference = parseReference(name);
    if (reference.digest !== undefined) {
      throw new ImageError('REFERENCE_INVALID', `refusing to create a tag with a digest reference: ${name}`, {
        path: name,
      });
    }
    return formatReference(reference);
  });

/** What left the index; `id` only when the image itself did. */
interface Forgotten {
  readonly untagged: readonly string[];
  readonly id: Digest | undefined;
  readonly layers: readonly Digest[];
}

/** Images on disk; see {@link openImageStore}. Holds nothing open, and other processes may use the same directory. */
export class ImageStore {
  /** Where everything is; for sinks of this package. */
  readonly paths: StorePaths;
  readonly #layersInUse: LayersInUse | undefined;

  constructor(paths: StorePaths, layersInUse: LayersInUse | undefined) {
    this.paths = paths;
    this.#layersInUse = layersInUse;
  }

  /**
   * Finds an image by name, `name@digest`, id or a unique beginning of its id. Reads two small files and no directory.
   *
   * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `STORE_INVALID`
   */
  resolve(nameOrId: string): Promise<StoredImage> {
    return settle(() => {
      const entries = readEntries(readStoreIndex(this.paths));
      return this.#describe(findImage(entries, nameOrId).entry, entries);
    });
  }

  /** Every image, the newest first. */
  list(): Promise<readonly StoredImage[]> {
    return settle(() => {
      const entries = readEntries(readStoreIndex(this.paths));
      const images = new Map(entries.map((entry) => [entry.id, entry]));
      const time = ({ created }: StoredImage): number => Date.parse(created ?? '') || 0;
      return [...images.values()].map((entry) => this.#describe(entry, entries)).sort((a, b) => time(b) - time(a));
    });
  }

  /** An image of the store as a value, to derive others from or to write elsewhere. */
  image(nameOrId: string): Promise<Image> {
    return settle(() => {
      const { entry } = findImage(readEntries(readStoreIndex(this.paths)), nameOrId);
      const manifestBytes = this.#blob(entry.descriptor.digest);
      const configBytes = this.#blob(entry.id);
      const diffIds = parseImageConfig(configBytes).rootfs.diff_ids;
      const layers = parseManifest(manifestBytes).layers.map((descriptor, i) => ({
        descriptor,
        diffId: diffIds[i] ?? descriptor.digest,
        open: (options?: OpenOptions) =>
          streamFile(() => openRegularFile(blobFile(this.paths, descriptor.digest)), descriptor.size, options),
      }));
      return readImage(manifestBytes, configBytes, layers);
    });
  }

  /**
   * Stores an image: its blobs as they are, its layers unpacked. Content that is there already is neither read nor
   * written again. Nothing can be seen of the image before all of it is there and verified.
   *
   * @throws {@link ImageError} as `unpackLayer`, and `CONTENT_MISMATCH`, `REFERENCE_INVALID`
   * @remarks Privilege: root, for the owners and devices of unpacked layers.
   */
  async write(image: Image, options: WriteOptions = {}): Promise<StoredImage> {
    const names = storeNames(options.names ?? []);
    await using work = await Workspace.create(this.paths, options.signal);
    const ingest = new Ingest(this.paths, work, options);
    const entry = await ingest.image(image);
    await commit(this.paths, ingest.staged, { images: [{ entry, names }], signal: options.signal });
    return this.#describe(entry, readEntries(readStoreIndex(this.paths)));
  }

  /** Gives an image one more name; another image that had it keeps its id only. */
  async tag(source: string, target: string, { signal }: CallOptions = {}): Promise<void> {
    const [name] = storeNames([target]);
    await locked(this.paths.lockFile, signal, () => {
      const index = readStoreIndex(this.paths);
      writeStoreIndex(this.paths, addName(index, findImage(readEntries(index), source).entry, name));
    });
  }

  /** Notes that a registry has an image as `name@sha256:…`, given in full. Does nothing when the image is gone. */
  async addRepoDigest(id: Digest, repoDigest: string, { signal }: CallOptions = {}): Promise<void> {
    const name = formatReference(parseReference(repoDigest));
    await locked(this.paths.lockFile, signal, () => {
      writeStoreIndex(this.paths, addRepoDigest(readStoreIndex(this.paths), id, name));
    });
  }

  /**
   * Takes a name away, and the image with its last one; an id takes the image with all its names, which needs `force`
   * when there are several. What no image needs any more is deleted.
   *
   * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `IMAGE_CONFLICT`
   */
  async remove(
    nameOrId: string,
    options: CallOptions & { readonly force?: boolean | undefined } = {},
  ): Promise<RemoveReport> {
    const { force = false, signal } = options;
    const report = await locked(this.paths.lockFile, signal, () => this.#forget(nameOrId, force));
    if (report.id === undefined) return { untagged: report.untagged, deleted: [] };
    const { layers } = await collectGarbage(this.paths, { layersInUse: this.#layersInUse, signal });
    const gone = new Set(layers);
    return { untagged: report.untagged, deleted: [report.id, ...report.layers.filter((chainId) => gone.has(chainId))] };
  }

  /**
   * Removes what died writers and killed removals left behind, content that no image has, and downloads that nobody went
   * on with for three days.
   */
  async sweep({ signal }: CallOptions = {}): Promise<SweepReport> {
    const workspaces = await sweepWorkspaces(this.paths, { signal });
    const { downloads } = sweepDownloads(this.paths);
    return { workspaces, downloads, ...(await collectGarbage(this.paths, { layersInUse: this.#layersInUse, signal })) };
  }

  /**
   * What the store has on disk, as `du` counts it. An unpacked layer is measured once; its record keeps the number.
   *
   * @param options - `inUse` says which images must stay, for `reclaimableBytes`
   */
  usage(options: CallOptions & { readonly inUse?: ImagesInUse | undefined } = {}): Promise<StoreUsage> {
    return measureStore(this.paths, options);
  }

  /**
   * Removes images without a name, or with `all` those too that have one, unless `inUse` knows them or a filter spares
   * them; what then no image has, as {@link ImageStore.sweep}; and every download that nobody works on.
   */
  prune(options: PruneOptions = {}): Promise<PruneReport> {
    return pruneStore(this.paths, this.#layersInUse, options);
  }

  /** Takes the image, or one reference of it, out of the index. `id` says that the image went. */
  #forget(nameOrId: string, force: boolean): Forgotten {
    const index = readStoreIndex(this.paths);
    const { id, references, last } = planRemoval(readEntries(index), nameOrId, force);
    const untagged = familiarReferences(references);
    if (!last) {
      writeStoreIndex(this.paths, removeReferences(index, id, references));
      return { untagged, id: undefined, layers: [] };
    }
    const config = parseImageConfig(this.#blob(id));
    writeStoreIndex(this.paths, removeImages(index, new Set([id])));
    return { untagged, id, layers: [...chainIds(config.rootfs.diff_ids)].reverse() };
  }

  #describe(entry: IndexEntry, entries: readonly IndexEntry[]): StoredImage {
    const config = parseImageConfig(this.#blob(entry.id), `config of ${entry.id}`);
    const manifest = parseManifest(this.#blob(entry.descriptor.digest), `manifest of ${entry.id}`);
    const layers = this.#layers(entry, config, manifest);
    return {
      id: entry.id,
      names: namesOf(entries, entry.id),
      repoDigests: familiarDigestsOf(entries, entry.id),
      manifestDigest: entry.descriptor.digest,
      layers,
      config,
      layerDirs: layers.map(({ chainId }) => layerDir(this.paths, chainId)).reverse(),
      sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      created: config.created,
    };
  }

  #layers({ layerSizes }: IndexEntry, config: ImageConfig, manifest: Manifest): readonly StoredLayer[] {
    const diffIds = config.rootfs.diff_ids;
    return chainIds(diffIds).map((chainId, i) => ({
      digest: manifest.layers[i]?.digest ?? (diffIds[i] as Digest),
      diffId: diffIds[i] as Digest,
      chainId,
      // Stores of the first days have one number for all layers.
      sizeBytes:
        layerSizes.length === diffIds.length
          ? (layerSizes[i] as number)
          : readLayerRecord(this.paths, chainId).contentBytes,
    }));
  }

  #blob(digest: Digest): Buffer {
    const file = blobFile(this.paths, digest);
    const bytes = readBlob(file);
    if (digestOf(bytes) !== digest)
      throw new ImageError('STORE_INVALID', `image store is damaged: ${file} has other bytes`, { path: file });
    return bytes;
  }
}

const readBlob = (file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    throw new ImageError('STORE_INVALID', `image store is damaged: ${file} is missing`, {
      path: file,
      errno: 'ENOENT',
      cause: error,
    });
  }
};

/** Reads without a lock: an image that went between two reads is looked for once more. */
const settle = async <T>(read: () => T): Promise<T> => {
  try {
    return read();
  } catch (error) {
    if (!isImageError(error) || error.errno !== 'ENOENT') throw error;
  }
  await nextTurn();
  return read();
};

/**
 * Opens the images below a data root, making it (mode 0700) when it is missing.
 *
 * `content/` is an OCI image layout, which other tools can read and add to; `layers/` has a directory for each unpacked
 * layer. Any number of processes may share it, and may be killed at any time.
 *
 * @remarks Privilege: whoever owns the directory; unpacking needs root.
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export const openImageStore = async ({ rootDir, layersInUse }: ImageStoreOptions): Promise<ImageStore> => {
  const paths = storePaths(rootDir);
  const store = new ImageStore(paths, layersInUse);
  if (isLaidOut(paths)) return store;
  for (const dir of [rootDir, paths.contentDir, paths.blobsDir, paths.layersDir, paths.workDir]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }
  await locked(paths.lockFile, undefined, () => {
    if (isLaidOut(paths)) return;
    replaceFile(paths.indexFile, `${JSON.stringify(EMPTY_INDEX)}\n`);
    // Last: its presence says that the rest is there.
    replaceFile(paths.layoutFile, '{"imageLayoutVersion":"1.0.0"}\n');
  });
  return store;
};

const isLaidOut = (paths: StorePaths): boolean => {
  try {
    return readFileSync(paths.layoutFile, 'utf8').includes('"1.0.0"');
  } catch {
    return false;
  }
};
