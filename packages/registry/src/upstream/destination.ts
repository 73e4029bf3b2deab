import { isImageError } from '@tsc/image';
import type { Artifact, Blob, FetchedManifest, Repository } from '@tsc/image';

import type { Digest } from '../names.ts';
import type { RegistryStorage } from '../storage.ts';
import { newManifest } from './documents.ts';
import { unlessUnknown } from './manifests.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

type Document = Pick<Artifact, 'descriptor' | 'bytes'>;

/** A repository that something is copied to. What isn't there is `undefined`. */
export interface Destination {
  /** Whether a manifest there means that its blobs are there too, so that nobody need look. */
  readonly isWhole: boolean;
  resolveTag(tag: string, options: CallOptions): Promise<Digest | undefined>;
  readManifest(digest: Digest, options: CallOptions): Promise<Document | undefined>;
  /** Sees to it that a blob is there. @returns whether it had to be sent */
  putBlob(blob: Blob, options: CallOptions): Promise<boolean>;
  putManifest(document: Document, tag: string | undefined, options: CallOptions): Promise<void>;
  tags(options: CallOptions): AsyncIterable<string>;
  deleteTag(tag: string, options: CallOptions): Promise<void>;
}

/** A repository of a storage of ours. */
export const storageDestination = (storage: RegistryStorage, name: string): Destination => ({
  // Scrub takes corrupt blobs away from manifests; a copy brings them back.
  isWhole: false,
  resolveTag: (tag, options) => unlessUnknown(storage.resolveTag(name, tag, options)),
  readManifest: async (digest, options) => {
    const found = await unlessUnknown(storage.readManifest(name, digest, options));
    if (found === undefined) return undefined;
    const { mediaType, bytes } = found;
    const size = bytes.byteLength;
    return { descriptor: { mediaType, digest: digest as `sha256:${string}`, size }, bytes: Buffer.from(bytes) };
  },
  putBlob: async (blob, options) => {
    const { digest } = blob.descriptor;
    if ((await unlessUnknown(storage.statBlob(name, digest, options))) !== undefined) return false;
    await storeBlob(storage, name, blob, options);
    return true;
  },
  putManifest: async ({ descriptor, bytes }, tag, options) => {
    const { mediaType, digest } = descriptor;
    await storage.writeManifest(
      name,
      newManifest({ mediaType, bytes }, digest, tag === undefined ? [] : [tag]),
      options,
    );
  },
  tags: async function* (options) {
    for await (const { tag } of storage.listTagEntries(name, options)) yield tag;
  },
  deleteTag: async (tag, options) => {
    await unlessUnknown(storage.deleteTag(name, tag, options));
  },
});

// eslint-disable-next-line max-params -- where to, under which name, what: each is a noun of its own
async function storeBlob(storage: RegistryStorage, name: string, blob: Blob, options: CallOptions): Promise<void> {
  const { digest, size } = blob.descriptor;
  const upload = { name, id: await storage.startUpload(name, 'sha256', options) };
  const body = blob.open(options);
  // Aborted before it is read, it has nobody else who listens.
  body.on('error', () => undefined);
  try {
    await storage.appendUpload(upload, { offset: 0, body, sizeBytes: size }, options);
    await storage.finishUpload(upload, digest, options);
  } catch (error) {
    body.destroy();
    await storage.cancelUpload(upload).catch(() => undefined);
    throw error;
  }
}

async function unlessNotFound<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isImageError(error) && error.code === 'REGISTRY_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A repository of any registry; what comes from one of the same registry is mounted there, and not sent. */
export const repositoryDestination = (repository: Repository, source: Repository): Destination => ({
  isWhole: true,
  resolveTag: async (tag, options) => (await unlessNotFound(repository.resolve(tag, options)))?.digest,
  readManifest: (digest, options): Promise<FetchedManifest | undefined> =>
    unlessNotFound(repository.manifest(digest, options)),
  putBlob: async (blob, options) => {
    const mountFrom = source.domain === repository.domain ? [source.path] : [];
    return (await repository.uploadBlob(blob, { ...options, mountFrom })) === 'uploaded';
  },
  putManifest: async ({ descriptor, bytes }, tag, options) => {
    await repository.putManifest(bytes, { ...options, mediaType: descriptor.mediaType, tag });
  },
  tags: (options) => repository.tags(options),
  deleteTag: async (tag, options) => {
    await unlessNotFound(repository.deleteManifest(tag, options));
  },
});
