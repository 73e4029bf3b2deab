import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST, parseIndex, parseManifest } from '@tsc/image';
import type { Descriptor, FetchedManifest, Index } from '@tsc/image';

import { parseManifestDocument } from '../manifest-document.ts';
import type { Digest } from '../names.ts';
import type { NewManifest, Referrer, StoredManifest } from '../storage.ts';

export const isIndex = (mediaType: string): boolean => mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST;

export const isManifest = (mediaType: string): boolean => mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;

/**
 * A manifest in the words of storages.
 *
 * @throws {@link RegistryError} `MANIFEST_INVALID`: we wouldn't take it from a client either
 */
export function newManifest(stored: StoredManifest, digest: Digest, tags: readonly string[] = []): NewManifest {
  const { mediaType, bytes } = stored;
  const { subject, artifactType, annotations } = parseManifestDocument(bytes, mediaType);
  const referrer: Referrer = { mediaType, digest, sizeBytes: bytes.byteLength, artifactType, annotations };
  return { mediaType, bytes, digest, tags, subject, referrer: subject === undefined ? undefined : referrer };
}

export const storedOf = ({ descriptor, bytes }: FetchedManifest): StoredManifest => ({
  mediaType: descriptor.mediaType,
  bytes,
});

/** Everything that a document points at. */
export function describedBy({ mediaType, bytes }: StoredManifest): readonly Descriptor[] {
  if (isIndex(mediaType)) return parseIndex(bytes).manifests;
  const { config, layers } = parseManifest(bytes);
  return [config, ...layers];
}

/** The lines of a list of referrers. */
export const referrersOf = (index: Index): readonly Referrer[] =>
  index.manifests.map(({ mediaType, digest, size, artifactType, annotations }) => ({
    mediaType,
    digest,
    sizeBytes: size,
    artifactType,
    annotations: new Map(Object.entries(annotations ?? {})),
  }));
