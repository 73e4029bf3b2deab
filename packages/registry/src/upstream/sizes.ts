import { ImageError, isImageError } from '@tsc/image';
import type { Repository } from '@tsc/image';

import type { Digest } from '../names.ts';
import type { StoredManifest } from '../storage.ts';
import { describedBy } from './documents.ts';
import { ExpiringMap } from './expiring-map.ts';

const ENTRIES_MAX = 50_000;

/** What the manifests that were asked for lately say about the sizes of their blobs. */
export class Sizes {
  readonly #sizes = new ExpiringMap<number>(ENTRIES_MAX);

  /** Learns from a manifest. */
  learn(name: string, manifest: StoredManifest): void {
    for (const { digest, size } of describedBy(manifest)) this.#sizes.set(`${name}@${digest}`, size, Infinity);
  }

  get(name: string, digest: Digest): number | undefined {
    return this.#sizes.get(`${name}@${digest}`);
  }

  forget(name: string, digest: Digest): void {
    this.#sizes.delete(`${name}@${digest}`);
  }
}

/**
 * Asks upstream how large a blob is that no manifest has told us about.
 *
 * The client asks for blobs by descriptors, which have a size, and says what is wrong with one: that is the only way to have
 * it say the right one. The bytes aren't waited for.
 *
 * @throws {@link ImageError} `REGISTRY_NOT_FOUND` and whatever else a repository throws
 */
export async function askSize(repository: Repository, digest: Digest, signal: AbortSignal): Promise<number> {
  const size = Number.MAX_SAFE_INTEGER;
  const asked = { mediaType: 'application/octet-stream', digest: digest as `sha256:${string}`, size };
  try {
    (await repository.openBlob(asked, { signal })).destroy();
  } catch (error) {
    const said =
      isImageError(error) && error.code === 'CONTENT_MISMATCH' ? /has (\d+) bytes/.exec(error.message) : null;
    if (said?.[1] === undefined) throw error;
    return Number(said[1]);
  }
  // Without a Content-Length there is no size before the end.
  throw new ImageError('REGISTRY_FAILED', `the size of ${digest} is unknown at its upstream`);
}
