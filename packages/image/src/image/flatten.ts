import type { Compression } from '../layer/compression.ts';
import { extractPlanned, planExtraction, type ExtractOptions } from './extract.ts';
import { deriveImage, patchConfig, type Image } from './image.ts';
import { layerFromTar } from './layer-source.ts';

export interface FlattenOptions extends ExtractOptions {
  /** Of the new layer; default none. */
  readonly compression?: Compression | undefined;
}

/**
 * A new image with one layer that has all that the layers of this one show, and nothing that they hide. Reads every layer
 * twice for the digests; the new layer reads them again whenever it is opened.
 *
 * @throws {@link ImageError} as `extractImage`
 */
export const flattenImage = async (image: Image, options: FlattenOptions = {}): Promise<Image> => {
  const { signal, limits, compression } = options;
  const plan = await planExtraction(image, { signal, limits });
  const layer = await layerFromTar((opened) => extractPlanned(image, plan, { limits, ...opened }), {
    signal,
    compression: compression ?? 'none',
  });
  const { created } = image.config;
  const step = { comment: `flattened from ${String(image.layers.length)} layers` };
  return deriveImage(image, {
    configBytes: patchConfig(image, {
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
      history: [created === undefined ? step : { created, ...step }],
    }),
    layers: [layer],
  });
};
