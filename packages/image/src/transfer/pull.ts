import type { Descriptor, Platform } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import type { LayerLimits } from '../layer/unpack.ts';
import type { Reference } from '../reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { Repository } from '../registry/repository.ts';
import type { ImageStore, StoredImage } from '../store/store.ts';

export interface PullOptions {
  /** Which image of an index. Default: Linux on this machine, and whatever there is where there is no choice. */
  readonly platform?: Platform | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
  /** How many layers are on their way at once. Default: 3. */
  readonly parallelLayers?: number | undefined;
  /** How many requests fetch one large layer at once. Default: 3. */
  readonly parallelChunks?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is known of a layer on its way in; the order of the words is the order of events. */
export type PullStatus = 'waiting' | 'downloading' | 'verifying' | 'unpacking' | 'present' | 'done';

export type PullEvent =
  | {
      readonly type: 'resolved';
      /** In full: `docker.io/library/debian:latest`. */
      readonly reference: string;
      /** Of the image's manifest, with its platform where it is one of an index. */
      readonly descriptor: Descriptor;
    }
  | {
      readonly type: 'layer';
      readonly digest: Digest;
      readonly status: PullStatus;
      /** Of the compressed layer: fetched while it is downloading, read again while it is unpacking. */
      readonly currentBytes: number;
      readonly totalBytes: number;
    }
  | {
      readonly type: 'pulled';
      readonly image: StoredImage;
      /** Of what the name stands for at the registry: a manifest, or an index. */
      readonly digest: Digest;
      /** False when the store had the image under this name already. */
      readonly changed: boolean;
    };

/** The last event, as the value that the generator returns. */
export interface PulledImage {
  readonly image: StoredImage;
  readonly digest: Digest;
  readonly changed: boolean;
}

/** Where images come from: a client for every registry, or one repository. */
export type PullSource = Pick<RegistryClient, 'repository'> | Pick<Repository, 'resolve' | 'manifest' | 'openBlob'>;

/**
 * Fetches an image into the store and unpacks it as it comes.
 */
// eslint-disable-next-line require-yield, max-params -- to where, from where, what: each is a noun of its own
export async function* pullImage(
  store: ImageStore,
  source: PullSource,
  reference: string | Reference,
  options: PullOptions = {},
): AsyncGenerator<PullEvent, PulledImage, void> {
  await Promise.resolve();
  throw new Error(JSON.stringify([store.paths, source, reference, options]));
}
