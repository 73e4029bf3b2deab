import { Readable } from 'node:stream';

import { compress, decompress, detectStream, layerMediaType, type Compression } from '../layer/compression.ts';
import { Meter } from '../layer/meter.ts';
import { deriveImage, type Image, type Layer } from './image.ts';

export interface RecompressOptions {
  /** Of gzip, 1 to 9; default 6. */
  readonly level?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const stream = (layer: Layer, compression: Compression, { level, signal }: RecompressOptions): Readable =>
  compress(
    Readable.from(
      (async function* () {
        yield* decompress(await detectStream(layer.open({ signal })));
      })(),
      { objectMode: false },
    ),
    compression,
    level,
  );

/** The same changes in another compression. Compresses once for the digest, and again whenever the layer is opened. */
export const recompressLayer = async (
  layer: Layer,
  compression: Compression,
  options: RecompressOptions = {},
): Promise<Layer> => {
  const { level, signal } = options;
  const meter = new Meter();
  for await (const chunk of stream(layer, compression, options) as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    meter.add(chunk);
  }
  return {
    descriptor: { mediaType: layerMediaType(compression), digest: meter.digest(), size: meter.bytes },
    diffId: layer.diffId,
    open: ({ signal: stop } = {}) => stream(layer, compression, { level, signal: stop }),
  };
};

/** A new image, with the same config and id, whose layers are compressed so; layers that are already stay as they are. */
export const recompressImage = async (
  image: Image,
  compression: Compression,
  options: RecompressOptions = {},
): Promise<Image> => {
  const layers: Layer[] = [];
  for (const layer of image.layers) {
    const is = await compressionOf(layer, options);
    layers.push(is === compression ? layer : await recompressLayer(layer, compression, options));
  }
  return deriveImage(image, { layers });
};

const compressionOf = async (layer: Layer, { signal }: RecompressOptions): Promise<Compression> => {
  const source = layer.open({ signal });
  try {
    return (await detectStream(source)).compression;
  } finally {
    source.destroy();
  }
};
