import { createHash } from 'node:crypto';

import type { Digest } from '../digest.ts';
import { ImageError, quote } from '../errors.ts';
import { parseImageConfig } from '../image-config.ts';
import type { OpenOptions } from '../image/blob.ts';
import { composeImage, type Image, type Layer } from '../image/image.ts';
import { detectCompression, layerMediaType } from '../layer/compression.ts';
import { readHead, type ArchiveFile, type ArchiveFiles } from './archive-files.ts';
import type { Tagged } from './archive-view.ts';

const MAGIC_BYTES = 6;

const hashOf = async (file: ArchiveFile, options: OpenOptions): Promise<Digest> => {
  const hash = createHash('sha256');
  for await (const chunk of file.open(options) as AsyncIterable<Buffer>) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
};

/**
 * Docker's archives name no digests but those in the config: of the layers, decompressed. A layer that isn't compressed
 * has just that one; any other is read for its own.
 */
const layerOf = async (file: ArchiveFile, diffId: Digest, options: OpenOptions): Promise<Layer> => {
  const compression = detectCompression(await readHead(file, MAGIC_BYTES));
  const digest = file.digest ?? (compression === 'none' ? diffId : await hashOf(file, options));
  return {
    descriptor: { mediaType: layerMediaType(compression), digest, size: file.size },
    diffId,
    open: (opened) => file.open(opened),
  };
};

/**
 * An image of a Docker archive, with an OCI manifest.
 *
 * @throws {@link ImageError} `ARCHIVE_INVALID`, `DOCUMENT_INVALID`, `IMAGE_INVALID`, `COMPRESSION_UNSUPPORTED`
 */
export const dockerImage = async (files: ArchiveFiles, tagged: Tagged, options: OpenOptions): Promise<Image> => {
  const configBytes = await files.read(tagged.config, options);
  const diffIds = parseImageConfig(configBytes, tagged.config).rootfs.diff_ids;
  if (diffIds.length !== tagged.layers.length) {
    throw new ImageError(
      'IMAGE_INVALID',
      `image ${quote(tagged.config)} lists ${String(diffIds.length)} layers in its config and ${String(tagged.layers.length)} in manifest.json`,
      { path: tagged.config },
    );
  }
  const layers: Layer[] = [];
  for (const [i, name] of tagged.layers.entries())
    layers.push(await layerOf(files.get(name), diffIds[i] as Digest, options));
  return composeImage(configBytes, layers);
};
