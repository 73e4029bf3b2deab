import { ImageError } from '../errors.ts';
import { readLayer, type LayerLimits, type ReadLayer } from '../layer/unpack.ts';
import type { TarSink } from '../tar/entry.ts';
import type { OpenOptions } from './blob.ts';
import type { Layer } from './image.ts';

export interface ReadLayerOptions extends OpenOptions {
  readonly limits?: Partial<LayerLimits> | undefined;
}

/** Reads an archive for its hashes and its errors only. */
export const NO_SINK: TarSink = { entry: () => undefined, data: () => undefined, end: () => undefined };

/**
 * Reads a layer into a sink, and checks that it is the one that its descriptor and diff id name.
 *
 * @throws {@link ImageError} `CONTENT_MISMATCH`, and as `readLayer`
 */
export const readVerifiedLayer = async (
  layer: Layer,
  sink: TarSink,
  { signal, limits }: ReadLayerOptions,
): Promise<ReadLayer> => {
  signal?.throwIfAborted();
  const source = layer.open({ signal });
  try {
    const read = await readLayer(source, sink, { signal, limits });
    checkLayer(layer, read);
    return read;
  } finally {
    source.destroy();
  }
};

const checkLayer = ({ descriptor: { digest, size }, diffId }: Layer, read: ReadLayer): void => {
  const mismatch = (why: string): ImageError =>
    new ImageError('CONTENT_MISMATCH', `layer ${digest} ${why}`, { path: digest });
  if (read.digest !== digest || read.size !== size)
    throw mismatch(`of ${String(size)} bytes is ${read.digest} of ${String(read.size)}`);
  if (read.diffId !== diffId) throw mismatch(`unpacks to ${read.diffId}, not to ${diffId} as the config says`);
};
