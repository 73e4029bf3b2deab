import { createGunzip, createZstdDecompress } from 'node:zlib';
import { pipeline } from 'node:stream';
import type { Image, Layer } from '@tsc/image';
import { BuilderError } from './errors.ts';

const OPAQUE = Buffer.from('.wh..wh..opq');

/**
 * Refuses to copy from an image in which a layer replaces a whole directory: what lies below it is gone, but the unpacked
 * layer says so in an attribute that only root's own calls can read, and a file that was removed must not come back. The mark
 * is looked for in the layer's bytes; one that stands in a file's content is a refusal too many, never a file too many.
 *
 * @throws {@link BuilderError} `BUILDER_UNSUPPORTED`
 */
export async function assertNoHiddenFiles(image: Image, name: string): Promise<void> {
  for (const layer of image.layers.slice(1)) {
    if (await hasMark(layer)) {
      const what = `cannot copy from ${name}: its layer ${layer.descriptor.digest} replaces whole directories`;
      throw new BuilderError('BUILDER_UNSUPPORTED', what);
    }
  }
}

async function hasMark(layer: Layer): Promise<boolean> {
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of decompressed(layer)) {
    const text = Buffer.concat([tail, chunk as Buffer]);
    if (text.includes(OPAQUE)) return true;
    tail = text.subarray(Math.max(0, text.length - OPAQUE.length + 1));
  }
  return false;
}

function decompressed(layer: Layer): AsyncIterable<unknown> {
  const { mediaType } = layer.descriptor;
  if (mediaType.endsWith('gzip')) return pipeline(layer.open(), createGunzip(), ignore);
  if (mediaType.endsWith('zstd')) return pipeline(layer.open(), createZstdDecompress(), ignore);
  return layer.open();
}

/** A failure of the source reaches the reader through the pipeline's last stream. */
const ignore = (): void => undefined;
