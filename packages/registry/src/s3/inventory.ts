import { isRegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { ContentEntry, ManifestEntry, StorageCall, TagEntry } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { BLOBS, linksPrefix, parseBlobEntry, parseLink, tagsPrefix } from './layout.ts';
import { manifestDigests, readTag, statManifest } from './manifests.ts';

export async function* listManifests(bucket: Bucket, name: string, call?: StorageCall): AsyncGenerator<ManifestEntry> {
  for await (const digest of manifestDigests(bucket, name, call)) {
    try {
      yield { digest, ...(await statManifest(bucket, { name, digest }, call)) };
    } catch (error) {
      if (!isRegistryError(error)) throw error;
    }
  }
}

export async function* listTagEntries(bucket: Bucket, name: string, call?: StorageCall): AsyncGenerator<TagEntry> {
  const prefix = tagsPrefix(name);
  for await (const { key, modifiedMs } of bucket.list(prefix, call)) {
    const tag = key.slice(prefix.length);
    const digest = await readTag(bucket, { name, tag }, call);
    if (digest !== undefined) yield { tag, digest, updatedAtMs: modifiedMs };
  }
}

export async function* listBlobs(bucket: Bucket, name: string, call?: StorageCall): AsyncGenerator<ContentEntry> {
  let last: Digest | undefined;
  for await (const { key } of bucket.list(linksPrefix(name), call)) {
    const link = parseLink(key);
    if (link === undefined || link.digest === last) continue;
    last = link.digest;
    yield { digest: link.digest, sizeBytes: link.reference.content.sizeBytes };
  }
}

export async function* listContents(bucket: Bucket, call?: StorageCall): AsyncGenerator<ContentEntry> {
  let last: Digest | undefined;
  for await (const { key } of bucket.list(BLOBS, call)) {
    const entry = parseBlobEntry(key);
    if (entry?.type !== 'reference' || entry.reference === undefined || entry.blob.digest === last) continue;
    last = entry.blob.digest;
    yield { digest: last, sizeBytes: entry.reference.content.sizeBytes };
  }
}
