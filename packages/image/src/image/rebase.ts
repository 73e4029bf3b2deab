import { ImageError } from '../errors.ts';
import type { History } from '../image-config.ts';
import { formatPlatform, isSamePlatform } from '../platform.ts';
import { platformOf } from './artifact.ts';
import { deriveImage, manifestDigest, patchConfig, type Image } from './image.ts';

const BASE_DIGEST = 'org.opencontainers.image.base.digest';

const invalid = (why: string): ImageError => new ImageError('IMAGE_INVALID', `cannot rebase: ${why}`);

/** One step for each layer at least, made up where the image tells less than it has. */
const historyOf = ({ config }: Image): readonly History[] => {
  const told = config.history ?? [];
  const missing = config.rootfs.diff_ids.length - told.filter((step) => step.empty_layer !== true).length;
  return [...told, ...Array.from({ length: Math.max(missing, 0) }, (): History => ({}))];
};

/** What of an image's history came after its base: the base's own steps, else as many as have its layers. */
const historyAfter = (image: Image, base: Image): readonly History[] => {
  const [whole, below] = [historyOf(image), historyOf(base)];
  if (JSON.stringify(whole.slice(0, below.length)) === JSON.stringify(below)) return whole.slice(below.length);
  let from = 0;
  for (let layers = base.layers.length; layers > 0; from += 1) if (whole[from]?.empty_layer !== true) layers -= 1;
  return whole.slice(from);
};

/**
 * A new image with the same layers on another base: the way to give an image a repaired base without building it again.
 * The config is the image's own, what its base had put into it included; only layers and history change. An annotation
 * that names the base's digest follows.
 *
 * @throws {@link ImageError} `IMAGE_INVALID`: the image does not begin with the layers of `oldBase`, or `newBase` is for
 *   another platform
 */
export const rebaseImage = (image: Image, oldBase: Image, newBase: Image): Image => {
  const old = oldBase.config.rootfs.diff_ids;
  const whole = image.config.rootfs.diff_ids;
  const other = old.findIndex((diffId, i) => diffId !== whole[i]);
  if (other >= 0) throw invalid(`layer ${String(other + 1)} is not the old base's`);
  const [mine, theirs] = [platformOf(image), platformOf(newBase)];
  if (!isSamePlatform(mine, theirs))
    throw invalid(`the image is for ${formatPlatform(mine)}, the new base for ${formatPlatform(theirs)}`);
  const annotations = image.manifest.annotations?.[BASE_DIGEST] && {
    ...image.manifest.annotations,
    [BASE_DIGEST]: manifestDigest(newBase),
  };
  return deriveImage(image, {
    configBytes: patchConfig(image, {
      rootfs: { type: 'layers', diff_ids: [...newBase.config.rootfs.diff_ids, ...whole.slice(old.length)] },
      history: [...historyOf(newBase), ...historyAfter(image, oldBase)],
    }),
    layers: [...newBase.layers, ...image.layers.slice(old.length)],
    ...(annotations && { extras: { annotations } }),
  });
};
