import type { Readable } from 'node:stream';

import type { Descriptor, Platform } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import { isImageError } from '../errors.ts';
import type { Artifact } from '../image/artifact.ts';
import type { Blob } from '../image/blob.ts';
import { readArtifact } from '../image/read-artifact.ts';
import type { Index } from '../manifest.ts';
import { openRange, verifiedStream, type ForeignServer } from './blob-read.ts';
import { listTags } from './lists.ts';
import { fetchManifest, resolveManifest } from './manifests.ts';
import { deleteManifest, listReferrers, putManifest } from './referrers.ts';
import type { Place } from './site.ts';
import { hasBlob, removeBlob, uploadBlob } from './upload.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface OpenBlobOptions extends CallOptions {
  /** First byte wanted. Default: 0. */
  readonly offset?: number | undefined;
  /** How many bytes. Default: all that follow. */
  readonly length?: number | undefined;
}

export interface UploadBlobOptions extends CallOptions {
  /** Repositories of this registry that may have the blob, so that it need not be sent: `['library/debian']`. */
  readonly mountFrom?: readonly string[] | undefined;
  /** Send it in requests of this size, for servers or proxies that limit them. Default: one request. */
  readonly chunkBytes?: number | undefined;
}

export interface PutManifestOptions extends CallOptions {
  readonly mediaType: string;
  /** Default: none, and the manifest is found by its digest only. */
  readonly tag?: string | undefined;
}

export interface ListOptions extends CallOptions {
  /** How many the registry should give in one answer. Default: its own choice. */
  readonly pageSize?: number | undefined;
}

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  /** Exact, and verified where a digest was asked for. */
  readonly bytes: Buffer;
}

/**
 * A repository at a registry. Making one contacts nobody.
 *
 * Every call throws {@link ImageError}: `REGISTRY_UNREACHABLE`, `REGISTRY_UNAUTHORIZED`, `REGISTRY_NOT_FOUND`,
 * `REGISTRY_REFUSED`, `REGISTRY_THROTTLED`, `REGISTRY_FAILED`, and `CONTENT_MISMATCH` where bytes are not those that a
 * digest names. Aborted, it throws the signal's reason.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export interface Repository {
  /** As in a {@link Reference}: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** As in a {@link Reference}: `library/debian`. */
  readonly path: string;
  /** The manifest's descriptor, without its bytes where the registry can. */
  resolve(tagOrDigest: string, options?: CallOptions): Promise<Descriptor>;
  /** A manifest or index of at most 4 MiB. */
  manifest(tagOrDigest: string, options?: CallOptions): Promise<FetchedManifest>;
  /** The blob's bytes as the registry sends them, NOT verified; exactly `length` of them, or the stream fails. */
  openBlob(descriptor: Descriptor, options?: OpenBlobOptions): Promise<Readable>;
  /** The blob as a value. Its streams are verified, and go on where a connection was dropped. */
  blob(descriptor: Descriptor): Blob;
  hasBlob(digest: Digest, options?: CallOptions): Promise<boolean>;
  /**
   * Sees to it that the blob is in the repository.
   *
   * Success means that it is there, not that this call has sent it. After a drop, sending goes on where the registry
   * says it has got to; `blob.open()` is called again for that.
   */
  uploadBlob(blob: Blob, options?: UploadBlobOptions): Promise<'present' | 'mounted' | 'uploaded'>;
  /**
   * Stores a manifest whose blobs are there. One with a `subject` is listed among the subject's referrers: by the
   * registry, or in the tag `sha256-<hex>` where the registry doesn't do it.
   */
  putManifest(bytes: Uint8Array, options: PutManifestOptions): Promise<Descriptor>;
  /** By tag removes the tag alone where the registry can; by digest the manifest with all of its tags. */
  deleteManifest(tagOrDigest: string, options?: CallOptions): Promise<void>;
  deleteBlob(digest: Digest, options?: CallOptions): Promise<void>;
  tags(options?: ListOptions): AsyncIterable<string>;
  /** The manifests whose `subject` is `digest`; an empty index if there are none. */
  referrers(digest: Digest, options?: CallOptions & { readonly artifactType?: string | undefined }): Promise<Index>;
  /** A manifest or index with all that it names; of an index all members, or only the best one for `platform`. */
  artifact(
    tagOrDigest: string,
    options?: CallOptions & { readonly platform?: Platform | undefined },
  ): Promise<Artifact>;
}

export interface RepositoryOptions {
  /** Where blobs of other hosts may be had; `undefined`: they may not. */
  readonly foreign: ForeignServer | undefined;
}

/** Ties what the files beside this one do to one repository. */
export const openRepository = (place: Place, { foreign }: RepositoryOptions): Repository => {
  const blob = (descriptor: Descriptor): Blob => ({
    descriptor,
    open: ({ signal } = {}) => verifiedStream(place, descriptor, { foreign, signal }),
  });
  const document = async (descriptor: Descriptor, options: CallOptions): Promise<Buffer | undefined> => {
    try {
      return (await fetchManifest(place, descriptor.digest, options)).bytes;
    } catch (error) {
      // Registries may keep some platforms of an index only.
      if (isImageError(error) && error.code === 'REGISTRY_NOT_FOUND') return undefined;
      throw error;
    }
  };
  return {
    domain: place.domain,
    path: place.path,
    resolve: (tagOrDigest, options = {}) => resolveManifest(place, tagOrDigest, options),
    manifest: async (tagOrDigest, options = {}) => {
      const { descriptor, bytes } = await fetchManifest(place, tagOrDigest, options);
      return { descriptor, bytes };
    },
    openBlob: (descriptor, options = {}) => openRange(place, descriptor, options),
    blob,
    hasBlob: (digest, options = {}) => hasBlob(place, digest, options),
    uploadBlob: (source, options = {}) => uploadBlob(place, source, options),
    putManifest: (bytes, options) => putManifest(place, bytes, options),
    deleteManifest: (tagOrDigest, options = {}) => deleteManifest(place, tagOrDigest, options),
    deleteBlob: (digest, options = {}) => removeBlob(place, digest, options),
    tags: (options = {}) => listTags(place, options),
    referrers: (digest, options = {}) => listReferrers(place, digest, options),
    artifact: async (tagOrDigest, options = {}) =>
      await readArtifact(await fetchManifest(place, tagOrDigest, options), { document, blob }, options),
  };
};
