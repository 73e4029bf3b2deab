import type { Engine } from '@tsc/engine';
import { formatPlatform, pullImage } from '@tsc/image';
import type { Platform, StoredImage } from '@tsc/image';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';
import { note } from '../output.ts';
import { followPull, pullSummary } from '../progress/pull.ts';
import { openView, silentView } from '../progress/view.ts';
import { withRegistries } from '../registry/client.ts';
import type { ImageRequest } from './missing-image.ts';
import { readPlatform, readReference } from './reference.ts';

type Images = Engine['images'];
type PullRequest = ImageRequest & { readonly signal: AbortSignal };

/** For `--pull always` and `--platform`: sees to it that the image is what the registry has, or is for the platform. */
export async function bringImage(images: Images, request: PullRequest): Promise<void> {
  const platform = readPlatform(request.platform);
  if (request.pull === 'always') await pull(images, request, platform);
  else if (platform !== undefined) await bringPlatform(images, request, platform);
}

/** For an image that isn't stored. @throws for an id, which can't be pulled */
export async function pullMissing(images: Images, request: PullRequest): Promise<void> {
  const { familiar } = readReference(request.image);
  if (!request.quiet) note(`Unable to find image '${familiar}' locally`);
  await pull(images, request, readPlatform(request.platform));
}

/** An image under the same name for another platform is as good as none. */
async function bringPlatform(images: Images, request: PullRequest, platform: Platform): Promise<void> {
  const stored = await storedImage(images, request.image);
  const wanted = formatPlatform(platform);
  if (stored !== undefined && formatPlatform(stored.config) === wanted) return;
  if (request.pull === 'missing') return pullMissing(images, request);
  if (stored !== undefined) {
    throw failed(`no such image: ${request.image} is stored for ${formatPlatform(stored.config)}, not ${wanted}`);
  }
}

async function storedImage(images: Images, image: string): Promise<StoredImage | undefined> {
  try {
    return await images.resolve(image);
  } catch (error) {
    if (codeOf(error) !== 'IMAGE_NOT_FOUND') throw error;
    return undefined;
  }
}

async function pull(
  images: Images,
  { image, quiet, signal }: PullRequest,
  platform: Platform | undefined,
): Promise<void> {
  const { reference, familiar } = readReference(image);
  await withRegistries(async (client) => {
    using view = quiet ? silentView : openView(process.stderr);
    const { changed } = await followPull(pullImage(images, client, reference, { platform, signal }), reference, view);
    view.line(pullSummary(changed, familiar));
  });
}
