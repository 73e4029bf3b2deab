import { closeSync, constants, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { chainIds, digestHex, digestOf, type Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { releasing } from '../image/chunk-memory.ts';
import { fileChunks, openRegularFile, streamFile } from '../image/file-range.ts';
import { imageId, manifestDigest, type Image, type Layer } from '../image/image.ts';
import { layerMediaType } from '../layer/compression.ts';
import { readLayer, unpackLayer, type LayerLimits, type ReadLayer } from '../layer/unpack.ts';
import { OCI_MANIFEST } from '../media-types.ts';
import type { TarSink } from '../tar/entry.ts';
import { mapBounded } from './bounded.ts';
import { readLayerRecord, type Staged } from './commit.ts';
import type { IndexEntry } from './index-file.ts';
import { blobFile, type StorePaths } from './paths.ts';
import type { Workspace } from './workspace.ts';

/** Unpacks and verifies a layer's bytes as they come. When it has failed, it may be called again, and starts anew. */
export type Take = (source: AsyncIterable<Uint8Array>) => Promise<void>;

export interface Delivery {
  /** Where the bytes are wanted; nothing is there yet. */
  readonly file: string;
  readonly take: Take;
  /** The tree is there already, and only the blob is wanted. */
  readonly hasTree: boolean;
  /** Whether somebody else has stored the blob meanwhile, which then stays: nothing needs to be delivered. */
  readonly isStored: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/**
 * How a layer's bytes get into the store: gives them to `take`, and puts them into the file. Called once for each digest.
 *
 * @returns false when the blob is stored already
 */
export type Deliver = (layer: Layer, to: Delivery) => Promise<boolean>;

export interface IngestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
  /** How many layers at once. Default: 2, which are as many as decompression and unpacking keep busy. */
  readonly parallelLayers?: number | undefined;
  /** Default: read the layer, and copy its bytes. */
  readonly deliver?: Deliver | undefined;
  /** Told when a layer is there. */
  readonly onLayer?: ((layer: Layer, status: 'present' | 'done') => void) | undefined;
}

const PARALLEL_LAYERS = 2;

/** Reads an archive for its hashes and its errors only. */
const NO_SINK: TarSink = { entry: () => undefined, data: () => undefined, end: () => undefined };

interface LayerPlace {
  readonly layer: Layer;
  readonly chainId: Digest;
}

/** One write to the store: what it has made so far, and where. */
export class Ingest {
  readonly staged: Staged = { blobs: new Map(), layers: new Map() };
  readonly #paths: StorePaths;
  readonly #work: Workspace;
  readonly #options: IngestOptions;
  /** Files of blobs that are here or come, so that equal layers come once. */
  readonly #files = new Map<Digest, Promise<string>>();

  constructor(paths: StorePaths, work: Workspace, options: IngestOptions) {
    this.#paths = paths;
    this.#work = work;
    this.#options = options;
    for (const name of ['blobs', 'layers']) mkdirSync(work.path(name), { mode: 0o700 });
  }

  /** Stages whatever the store lacks of an image, verified, and says how the index will list it. */
  async image(image: Image): Promise<IndexEntry> {
    const chain = chainIds(image.config.rootfs.diff_ids);
    const places = image.layers.map((layer, i): LayerPlace => ({ layer, chainId: chain[i] as Digest }));
    const { parallelLayers = PARALLEL_LAYERS, signal } = this.#options;
    const layerSizes = await mapBounded(places, { limit: parallelLayers, signal }, (place, stop) =>
      this.#layer(place, stop),
    );
    await this.document(image.configBytes);
    await this.document(image.manifestBytes);
    const digest = manifestDigest(image);
    const mediaType = image.manifest.mediaType ?? OCI_MANIFEST;
    const { architecture, os, variant } = image.config;
    const platform = variant === undefined ? { architecture, os } : { architecture, os, variant };
    const descriptor = { mediaType, digest, size: image.manifestBytes.length, platform };
    return { descriptor, id: imageId(image), name: undefined, layerSizes, repoDigests: [] };
  }

  /** Takes a file of the workspace, whose digest was computed while it was written, for a blob. */
  adopt(digest: Digest, file: string): void {
    this.staged.blobs.set(digest, file);
    this.#files.set(digest, Promise.resolve(file));
  }

  /** Stages a lowest layer whose digests are known only when it has been read. */
  async firstLayer(source: AsyncIterable<Uint8Array>): Promise<Layer> {
    const [file, dir] = [this.#work.path('first-blob'), this.#work.path('first-layer')];
    mkdirSync(dir, { mode: 0o755 });
    const read = await unpackLayer(copied(source, file), dir, this.#options);
    const { digest, size, diffId, contentBytes } = read;
    this.adopt(digest, file);
    this.staged.layers.set(diffId, { dir, record: { diffId, contentBytes } });
    const descriptor = { mediaType: layerMediaType(read.compression), digest, size };
    return { descriptor, diffId, open: (open) => streamFile(() => openRegularFile(file), size, open) };
  }

  /** Stages a manifest, index or config. */
  async document(bytes: Buffer): Promise<void> {
    const digest = digestOf(bytes);
    if (this.staged.blobs.has(digest) || (await this.#work.holdBlob(digest, this.#options.signal))) return;
    const file = this.#blobPath(digest);
    writeFileSync(file, bytes, { mode: 0o600 });
    this.staged.blobs.set(digest, file);
  }

  /** Returns the bytes of the layer's files. */
  async #layer(place: LayerPlace, signal: AbortSignal): Promise<number> {
    const { layer, chainId } = place;
    const staged = this.staged.layers.get(chainId);
    const hasTree = staged !== undefined || (await this.#work.holdLayer(chainId, signal));
    const known = hasTree ? (staged?.record ?? readLayerRecord(this.#paths, chainId)).contentBytes : undefined;
    const taken: number[] = [];
    const take: Take = async (source) => {
      taken.push(await (hasTree ? this.#verify(layer, source, signal) : this.#unpack(place, source, signal)));
    };
    const file = await this.#file(layer, { take, hasTree, signal });
    if (known === undefined && taken.length === 0) await take(fileChunks(file));
    this.#options.onLayer?.(layer, taken.length > 0 ? 'done' : 'present');
    return known ?? taken.at(-1) ?? 0;
  }

  /** The file with the layer's bytes; those that come now are given to `take`. */
  #file(layer: Layer, to: Pick<Delivery, 'take' | 'hasTree' | 'signal'>): Promise<string> {
    const { digest } = layer.descriptor;
    const known = this.#files.get(digest);
    if (known !== undefined) return known;
    const isStored = (): Promise<boolean> => this.#work.holdBlob(digest, to.signal);
    const coming = (async () => {
      const file = this.#blobPath(digest);
      const deliver = this.#options.deliver ?? copy;
      if ((await isStored()) || !(await deliver(layer, { ...to, file, isStored })))
        return blobFile(this.#paths, digest);
      this.staged.blobs.set(digest, file);
      return file;
    })();
    this.#files.set(digest, coming);
    return coming;
  }

  async #verify(layer: Layer, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    const read = await readLayer(source, NO_SINK, { ...this.#options, signal });
    checkLayer(layer, read);
    return read.contentBytes;
  }

  async #unpack(
    { layer, chainId }: LayerPlace,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<number> {
    const dir = this.#work.path(join('layers', digestHex(chainId)));
    await rm(dir, { recursive: true, force: true });
    // Nobody but root gets through the store's own directories; these bits are those of the image's root directory.
    mkdirSync(dir, { mode: 0o755 });
    const read = await unpackLayer(source, dir, { ...this.#options, signal });
    checkLayer(layer, read);
    const record = { diffId: layer.diffId, contentBytes: read.contentBytes };
    this.staged.layers.set(chainId, { dir, record });
    return read.contentBytes;
  }

  #blobPath(digest: Digest): string {
    return this.#work.path(join('blobs', digestHex(digest)));
  }
}

const copy: Deliver = async (layer, { file, take, signal }) => {
  const source = layer.open({ signal });
  try {
    await take(copied(releasing(source), file));
    return true;
  } finally {
    source.destroy();
  }
};

const checkLayer = (layer: Layer, read: ReadLayer): void => {
  const { digest, size } = layer.descriptor;
  if (read.digest !== digest || read.size !== size) {
    throw new ImageError(
      'CONTENT_MISMATCH',
      `layer ${digest} of ${String(size)} bytes is ${read.digest} of ${String(read.size)}`,
      { path: digest },
    );
  }
  if (read.diffId !== layer.diffId) {
    throw new ImageError(
      'CONTENT_MISMATCH',
      `layer ${digest} unpacks to ${read.diffId}, not to ${layer.diffId} as the config says`,
      { path: digest },
    );
  }
};

async function* copied(source: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array, void, void> {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at);
      yield chunk;
    }
  } finally {
    closeSync(fd);
  }
}
