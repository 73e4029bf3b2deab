import { createWriteStream, existsSync, renameSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import { digestHex, type Digest } from '../digest.ts';
import { verifiedBytes } from '../image/blob.ts';
import { openRegularFile, streamFile } from '../image/file-range.ts';
import type { Image, Layer } from '../image/image.ts';
import { compress, layerMediaType, type Compression } from '../layer/compression.ts';
import { Meter } from '../layer/meter.ts';
import { DOCKER_LAYER, OCI_LAYER } from '../media-types.ts';
import { findCompressed, recordCompressed, type CompressedBlob } from '../store/compressed.ts';
import { syncFile } from '../store/durable.ts';
import { locked } from '../store/lock.ts';
import { blobFile, type StorePaths } from '../store/paths.ts';
import type { Workspace } from '../store/workspace.ts';

const PLAIN_TYPES: ReadonlySet<string> = new Set([OCI_LAYER, DOCKER_LAYER]);

export const isPlain = ({ descriptor }: Layer): boolean => PLAIN_TYPES.has(descriptor.mediaType);

export interface CompressContext {
  readonly paths: StorePaths;
  /** Holds what is found and made. */
  readonly work: Workspace;
  readonly compression: Exclude<Compression, 'none'>;
}

const layerOf = ({ paths, compression }: CompressContext, diffId: Digest, { digest, size }: CompressedBlob): Layer => ({
  descriptor: { mediaType: layerMediaType(compression), digest, size },
  diffId,
  open: (options) => streamFile(() => openRegularFile(blobFile(paths, digest)), size, options),
});

/** The compressed form of a layer, if it was made before. */
export const findCompressedLayer = async (
  context: CompressContext,
  { diffId }: Layer,
  signal: AbortSignal,
): Promise<Layer | undefined> => {
  const found = findCompressed(context.paths, diffId, context.compression);
  if (found === undefined || !(await context.work.holdBlob(found.digest, signal))) return undefined;
  return layerOf(context, diffId, found);
};

/** Compresses a layer, and keeps the result in the store for as long as an image has the layer. */
export const compressLayer = async (
  context: CompressContext,
  layer: Layer,
  { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void },
): Promise<Layer> => {
  const { paths, work, compression } = context;
  const file = work.path(`${digestHex(layer.diffId)}.${compression}`);
  const meter = new Meter();
  const plain = async function* (): AsyncGenerator<Buffer, void, void> {
    let bytes = 0;
    for await (const chunk of verifiedBytes(layer, { signal })) {
      yield chunk;
      onBytes((bytes += chunk.length));
    }
  };
  const packed = compress(plain(), compression) as AsyncIterable<Buffer>;
  await pipeline(meter.pass(packed), createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
  await syncFile(file);
  const blob = { digest: meter.digest(), size: meter.bytes };
  await locked(paths.lockFile, signal, () => {
    if (!existsSync(blobFile(paths, blob.digest))) renameSync(file, blobFile(paths, blob.digest));
    work.keepBlob(blob.digest);
    recordCompressed(paths, blob, { diffId: layer.diffId, compression });
  });
  return layerOf(context, layer.diffId, blob);
};

/** Which layers of an image have to be compressed before a push. */
export const plainLayers = ({ layers }: Image): readonly Layer[] => [
  ...new Map(layers.filter(isPlain).map((layer) => [layer.diffId, layer])).values(),
];
