import { closeSync, constants, createReadStream, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { chainIds, digestHex, digestOf, type Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { imageId, manifestDigest, type Image, type Layer } from '../image/image.ts';
import { layerMediaType } from '../layer/compression.ts';
import { readLayer, unpackLayer, type LayerLimits, type ReadLayer } from '../layer/unpack.ts';
import { OCI_MANIFEST } from '../media-types.ts';
import type { TarSink } from '../tar/entry.ts';
import { readLayerRecord, type Staged } from './commit.ts';
import type { IndexEntry } from './index-file.ts';
import type { StorePaths } from './paths.ts';
import type { Workspace } from './workspace.ts';

export interface IngestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
}

/** Reads an archive for its hashes and its errors only. */
const NO_SINK: TarSink = { entry: () => undefined, data: () => undefined, end: () => undefined };

/** One write to the store: what it has made so far, and where. */
export class Ingest {
  readonly staged: Staged = { blobs: new Map(), layers: new Map() };
  readonly #paths: StorePaths;
  readonly #work: Workspace;
  readonly #options: IngestOptions;

  constructor(paths: StorePaths, work: Workspace, options: IngestOptions) {
    this.#paths = paths;
    this.#work = work;
    this.#options = options;
    for (const name of ['blobs', 'layers']) mkdirSync(work.path(name), { mode: 0o700 });
  }

  /** Stages whatever the store lacks of an image, verified, and says how the index will list it. */
  async image(image: Image): Promise<IndexEntry> {
    const chain = chainIds(image.config.rootfs.diff_ids);
    let sizeBytes = 0;
    for (const [i, layer] of image.layers.entries()) sizeBytes += await this.#layer(layer, chain[i] as Digest);
    await this.#document(image.configBytes);
    await this.#document(image.manifestBytes);
    const digest = manifestDigest(image);
    const mediaType = image.manifest.mediaType ?? OCI_MANIFEST;
    const { architecture, os, variant } = image.config;
    const platform = variant === undefined ? { architecture, os } : { architecture, os, variant };
    const descriptor = { mediaType, digest, size: image.manifestBytes.length, platform };
    return { descriptor, id: imageId(image), name: undefined, sizeBytes };
  }

  /** Takes a file of the workspace, whose digest was computed while it was written, for a blob. */
  adopt(digest: Digest, file: string): void {
    this.staged.blobs.set(digest, file);
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
    return { descriptor, diffId, open: () => createReadStream(file) };
  }

  async #document(bytes: Buffer): Promise<void> {
    const digest = digestOf(bytes);
    if (this.staged.blobs.has(digest) || (await this.#work.holdBlob(digest, this.#options.signal))) return;
    const file = this.#blobPath(digest);
    writeFileSync(file, bytes, { mode: 0o600 });
    this.staged.blobs.set(digest, file);
  }

  /** Returns the bytes of the layer's files. */
  async #layer(layer: Layer, chainId: Digest): Promise<number> {
    const { signal } = this.#options;
    const { digest } = layer.descriptor;
    const hasBlob = this.staged.blobs.has(digest) || (await this.#work.holdBlob(digest, signal));
    const staged = this.staged.layers.get(chainId);
    const hasTree = staged !== undefined || (await this.#work.holdLayer(chainId, signal));
    if (hasBlob && hasTree) return (staged?.record ?? readLayerRecord(this.#paths, chainId)).contentBytes;
    const file = hasBlob ? undefined : this.#blobPath(digest);
    const dir = hasTree ? undefined : this.#work.path(join('layers', digestHex(chainId)));
    const read = await this.#read(layer, { file, dir });
    checkLayer(layer, read);
    if (file !== undefined) this.staged.blobs.set(digest, file);
    const record = { diffId: layer.diffId, contentBytes: read.contentBytes };
    if (dir !== undefined) this.staged.layers.set(chainId, { dir, record });
    return record.contentBytes;
  }

  /** One pass over the bytes: into the blob, unless there is one, and into the tree, unless there is one. */
  async #read(
    layer: Layer,
    to: { readonly file: string | undefined; readonly dir: string | undefined },
  ): Promise<ReadLayer> {
    const source = layer.open();
    const stream = to.file === undefined ? source : copied(source, to.file);
    try {
      if (to.dir === undefined) return await readLayer(stream, NO_SINK, this.#options);
      // Nobody but root gets through the store's own directories; these bits are those of the image's root directory.
      mkdirSync(to.dir, { mode: 0o755 });
      return await unpackLayer(stream, to.dir, this.#options);
    } finally {
      source.destroy();
    }
  }

  #blobPath(digest: Digest): string {
    return this.#work.path(join('blobs', digestHex(digest)));
  }
}

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
