import { isImageError } from '@tsc/image';
import type { PullEvent } from '@tsc/image';
import { BuilderError } from './errors.ts';
import { formatPlatform } from './platform.ts';
import type { BuildPlatform } from './platform.ts';

/**
 * Brings an image to the build's store under its name. The last event is `pulled`; `pullImage` of `@tsc/image` is made for it.
 */
export type PullBase = (
  reference: string,
  options: { readonly platform: BuildPlatform; readonly signal: AbortSignal | undefined },
) => AsyncIterable<PullEvent>;

/** When base images are pulled: those that the store doesn't have for their platform, or all of them. */
export type PullPolicy = 'missing' | 'always';

export type BasePullEvent =
  | { readonly type: 'pull-started'; readonly reference: string; readonly platform: string }
  | { readonly type: 'pull-progress'; readonly reference: string; readonly event: PullEvent };

/**
 * Pulls one base image and returns its id, by which it is known even if its name goes on to another platform's.
 *
 * @throws {@link BuilderError} `BUILDER_PULL_FAILED`
 */
export async function* pullBase(
  pull: PullBase,
  reference: string,
  options: Parameters<PullBase>[1],
): AsyncGenerator<BasePullEvent, string, void> {
  yield { type: 'pull-started', reference, platform: formatPlatform(options.platform) };
  let id: string | undefined;
  try {
    for await (const event of pull(reference, options)) {
      if (event.type === 'pulled') id = event.image.id;
      yield { type: 'pull-progress', reference, event };
    }
  } catch (error) {
    if (!isImageError(error)) throw error;
    throw new BuilderError('BUILDER_PULL_FAILED', `cannot pull ${reference}: ${error.message}`, { cause: error });
  }
  if (id === undefined)
    throw new BuilderError('BUILDER_PULL_FAILED', `cannot pull ${reference}: it ended without an image`);
  return id;
}
