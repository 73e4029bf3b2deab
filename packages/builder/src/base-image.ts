import { emptyImage, isImageError } from '@tsc/image';
import { pullBase } from './base-pull.ts';
import type { BasePullEvent, PullBase, PullPolicy } from './base-pull.ts';
import { BuilderError, isBuilderError } from './errors.ts';
import type { BaseNode } from './plan.ts';
import { formatPlatform } from './platform.ts';
import type { BuildPlatform } from './platform.ts';
import type { BuildStore, StageState } from './stage-state.ts';

const SETTINGS = { args: new Map<string, string>(), hasCmd: false };

/** Where base images come from. */
export interface BaseMeans {
  readonly store: BuildStore;
  /** undefined when there is only what the store has. */
  readonly pull: PullBase | undefined;
  readonly pullPolicy: PullPolicy;
  readonly signal: AbortSignal | undefined;
}

/**
 * Opens what a stage begins with: an image of the store, pulled before if need be, or nothing at all.
 *
 * @throws {@link BuilderError} `BUILDER_NO_SUCH_IMAGE`: not in the store, or for another platform; `BUILDER_PULL_FAILED`
 */
export async function* openBase(
  { base, platform }: BaseNode,
  means: BaseMeans,
): AsyncGenerator<BasePullEvent, StageState, void> {
  if (base.type === 'scratch') {
    const image = emptyImage({ os: platform.os, architecture: platform.architecture, variant: platform.variant });
    return { image, settings: { ...SETTINGS, config: {}, author: undefined }, layers: [] };
  }
  const { reference } = base;
  const { store, pull, pullPolicy, signal } = means;
  if (pull === undefined || pullPolicy === 'missing') {
    try {
      return await openStored(reference, { store, platform, name: reference });
    } catch (error) {
      if (pull === undefined || !isMissing(error)) throw error;
    }
  }
  const id = yield* pullBase(pull, reference, { platform, signal });
  return await openStored(id, { store, platform, name: reference });
}

interface StoredBase {
  readonly store: BuildStore;
  readonly platform: BuildPlatform;
  /** For messages. */
  readonly name: string;
}

async function openStored(nameOrId: string, { store, platform, name }: StoredBase): Promise<StageState> {
  try {
    const { layerDirs } = await store.resolve(nameOrId);
    const image = await store.image(nameOrId);
    checkPlatform(name, image.config, platform);
    const settings = { ...SETTINGS, config: image.config.config ?? {}, author: image.config.author };
    return { image, settings, layers: layerDirs.map((dir) => ({ type: 'directory', dir })) };
  } catch (error) {
    if (!isImageError(error) || error.code !== 'IMAGE_NOT_FOUND') throw error;
    throw new BuilderError('BUILDER_NO_SUCH_IMAGE', `no such image: ${name}`, { cause: error });
  }
}

const isMissing = (error: unknown): boolean => isBuilderError(error) && error.code === 'BUILDER_NO_SUCH_IMAGE';

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
