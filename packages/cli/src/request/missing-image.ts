import type { Engine } from '@tsc/engine';

import { CliError } from '../errors.ts';
import { codeOf } from '../failure.ts';

export type PullPolicy = 'always' | 'missing' | 'never';

/** Which image a new container is of, and whether it may be pulled. */
export interface ImageRequest {
  readonly image: string;
  readonly pull: PullPolicy;
  readonly platform: string | undefined;
  /** Says nothing about the pull. */
  readonly quiet: boolean;
}

/**
 * Runs `make` when its image is stored, for the platform that was asked for, and pulls it before that where the policy
 * says so. All that is said goes to standard error: the rest of the output is the container's.
 */
export async function withImage<T>(
  { images }: Pick<Engine, 'images'>,
  request: ImageRequest & { readonly signal: AbortSignal },
  make: () => Promise<T>,
): Promise<T> {
  if (request.pull === 'always' || request.platform !== undefined) {
    const { bringImage } = await import('./image-pull.ts');
    await bringImage(images, request);
  }
  try {
    return await make();
  } catch (error) {
    if (codeOf(error) !== 'IMAGE_NOT_FOUND' || !Error.isError(error)) throw error;
    if (request.pull !== 'missing') throw new CliError('CLI_FAILED', error.message, { exitCode: 125, cause: error });
  }
  const { pullMissing } = await import('./image-pull.ts');
  await pullMissing(images, request);
  return await make();
}
