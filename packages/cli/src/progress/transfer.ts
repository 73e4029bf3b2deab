import type { PullEvent, PushEvent } from '@tsc/image';

import { shortId } from '../format/shorten.ts';
import type { ProgressItem } from './item.ts';

type LayerEvent = Extract<PullEvent, { readonly type: 'layer' }>;
type BlobEvent = Extract<PushEvent, { readonly type: 'blob' }>;

/** Says what happens to the layers of a pull in Docker's words. */
export class PullSteps {
  readonly #reached = new Map<string, LayerEvent['status']>();

  /** What to show of an event: more than one line where Docker has a word for a moment that passes at once. */
  items(event: LayerEvent): readonly ProgressItem[] {
    const before = this.#reached.get(event.digest);
    this.#reached.set(event.digest, event.status);
    const id = shortId(event.digest);
    const still = (status: string, finished = false): ProgressItem => ({ id, status, finished });
    const moving = (status: string): ProgressItem => ({
      ...still(status),
      bytes: { current: event.currentBytes, total: event.totalBytes },
    });
    switch (event.status) {
      case 'waiting':
        return [still('Pulling fs layer')];
      case 'downloading':
        return [...(before === undefined ? [still('Pulling fs layer')] : []), moving('Downloading')];
      case 'verifying':
        return [still('Verifying Checksum')];
      case 'unpacking':
        return [...(isDownloading(before) ? [still('Download complete')] : []), moving('Extracting')];
      case 'present':
        return [still('Already exists', true)];
      case 'done':
        return [...(isDownloading(before) ? [still('Download complete')] : []), still('Pull complete', true)];
    }
  }
}

const isDownloading = (status: LayerEvent['status'] | undefined): boolean =>
  status === 'waiting' || status === 'downloading' || status === 'verifying';

/** Says what happens to a blob of a push in Docker's words. */
export function pushItem({ digest, status, currentBytes, totalBytes }: BlobEvent): ProgressItem {
  const id = shortId(digest);
  const bytes = { current: currentBytes, total: totalBytes };
  switch (status) {
    case 'waiting':
      return { id, status: 'Waiting', finished: false };
    case 'preparing':
      // What is compressed goes on under the digest that it has then.
      if (totalBytes > 0 && currentBytes >= totalBytes) return { id, status: 'Prepared', finished: true };
      return { id, status: 'Preparing', bytes, finished: false };
    case 'pushing':
      return { id, status: 'Pushing', bytes, finished: false };
    case 'present':
      return { id, status: 'Layer already exists', finished: true };
    case 'mounted':
      return { id, status: 'Mounted from another repository', finished: true };
    case 'done':
      return { id, status: 'Pushed', finished: true };
  }
}
