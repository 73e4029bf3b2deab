import { emptyImage, isImageError } from '@tsc/image';
import { BuilderError } from './errors.ts';
import type { BaseNode } from './plan.ts';
import { formatPlatform } from './platform.ts';
import type { BuildPlatform } from './platform.ts';
import type { BuildStore, StageState } from './stage-state.ts';

const SETTINGS = { args: new Map<string, string>(), hasCmd: false };

/**
 * Opens what a stage begins with: an image of the store, or nothing at all.
 *
 * @throws {@link BuilderError} `BUILDER_NO_SUCH_IMAGE`: not in the store, or for another platform
 */
export async function openBase({ base, platform }: BaseNode, store: BuildStore): Promise<StageState> {
  if (base.type === 'scratch') {
    const image = emptyImage({ os: platform.os, architecture: platform.architecture, variant: platform.variant });
    return { image, settings: { ...SETTINGS, config: {}, author: undefined }, layers: [] };
  }
  try {
    const { layerDirs } = await store.resolve(base.reference);
    const image = await store.image(base.reference);
    checkPlatform(base.reference, image.config, platform);
    const settings = { ...SETTINGS, config: image.config.config ?? {}, author: image.config.author };
    return { image, settings, layers: layerDirs.map((dir) => ({ type: 'directory', dir })) };
  } catch (error) {
    if (!isImageError(error) || error.code !== 'IMAGE_NOT_FOUND') throw error;
    const what = `no such image: ${base.reference}: a build takes images of the store only so far`;
    throw new BuilderError('BUILDER_NO_SUCH_IMAGE', what, { cause: error });
  }
}

function checkPlatform(
  reference: string,
  image: { readonly os: string; readonly architecture: string },
  platform: BuildPlatform,
): void {
  if (image.os === platform.os && image.architecture === platform.architecture) return;
  const found = `${image.os}/${image.architecture}`;
  throw new BuilderError(
    'BUILDER_NO_SUCH_IMAGE',
    `no such image: ${reference} is for ${found}, not ${formatPlatform(platform)}`,
  );
}
