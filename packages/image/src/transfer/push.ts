import type { Descriptor } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import type { Artifact } from '../image/artifact.ts';
import type { Image } from '../image/image.ts';
import type { Compression } from '../layer/compression.ts';
import type { Reference } from '../reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { ImageStore } from '../store/store.ts';

export type PushStatus = 'waiting' | 'preparing' | 'pushing' | 'present' | 'mounted' | 'done';

export type PushEvent =
  | {
      readonly type: 'blob';
      readonly digest: Digest;
      /** Compression is `preparing`; the digest is then the one of the uncompressed layer. */
      readonly status: PushStatus;
      readonly currentBytes: number;
      readonly totalBytes: number;
    }
  | {
      readonly type: 'pushed';
      /** In full, with its tag or digest. */
      readonly reference: string;
      readonly descriptor: Descriptor;
    };

/** The last event, as the value that the generator returns. */
export interface Pushed {
  readonly reference: string;
  readonly descriptor: Descriptor;
}

export interface PushArtifactOptions {
  /** How many blobs are on their way at once. Default: 4. */
  readonly parallelBlobs?: number | undefined;
  /** Repositories at the same registry that may have the blobs, so that they need not be sent: `['library/debian']`. */
  readonly mountFrom?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PushOptions {
  /** Where to; default: the name itself. */
  readonly to?: string | undefined;
  /** For layers that are stored uncompressed; default `gzip`. Compressed ones go as they are. */
  readonly compression?: Compression | undefined;
  readonly parallelBlobs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where blobs and manifests go: a client. */
export type PushTarget = Pick<RegistryClient, 'repository'>;

/**
 * Sends an image of the store to a registry.
 */
// eslint-disable-next-line require-yield, max-params -- from where, to where, what: each is a noun of its own
export async function* pushImage(
  store: ImageStore,
  client: PushTarget,
  nameOrId: string,
  options: PushOptions = {},
): AsyncGenerator<PushEvent, Pushed, void> {
  await Promise.resolve();
  throw new Error(JSON.stringify([store.paths, client, nameOrId, options]));
}

/**
 * Sends an image or artifact, with all that it names, to a registry.
 */
// eslint-disable-next-line require-yield, max-params -- to where, under which name, what: each is a noun of its own
export async function* pushArtifact(
  client: PushTarget,
  reference: string | Reference,
  artifact: Artifact | Image,
  options: PushArtifactOptions = {},
): AsyncGenerator<PushEvent, Pushed, void> {
  await Promise.resolve();
  throw new Error(JSON.stringify([client, reference, artifact, options]));
}
