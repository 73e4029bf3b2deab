import { imageId, ImageError, manifestDigest } from '@tsc/image';
import type { Image } from '@tsc/image';
import type { BuildStore } from '@tsc/builder';

/** Keeps images in memory and unpacks nothing: what the store does as root is tested with the real one. */
export function memoryStore(): BuildStore & { readonly images: Map<string, Image> } {
  const images = new Map<string, Image>();
  const describe = (image: Image): Awaited<ReturnType<BuildStore['resolve']>> => ({
    id: imageId(image),
    names: [],
    repoDigests: [],
    layers: [],
    manifestDigest: manifestDigest(image),
    config: image.config,
    layerDirs: [],
    sizeBytes: 0,
    created: image.config.created,
  });
  const find = (name: string): Image => {
    const image = images.get(name);
    if (image === undefined) throw new ImageError('IMAGE_NOT_FOUND', `no such image: ${name}`);
    return image;
  };
  return {
    images,
    resolve: (name) => Promise.resolve().then(() => describe(find(name))),
    image: (name) => Promise.resolve().then(() => find(name)),
    write: (image, options) => {
      const names = options?.names ?? [];
      for (const name of [imageId(image), ...names]) images.set(name, image);
      return Promise.resolve({ ...describe(image), names });
    },
    remove: (name) => {
      images.delete(name);
      return Promise.resolve({ untagged: [], deleted: [] });
    },
  };
}
