import { RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { StorageCall } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import {
  askedKey,
  blobOfRepositoryPrefix,
  blobPrefix,
  condemnedKey,
  contentKey,
  freshReference,
  linkKey,
  parseBlobEntry,
  referenceKey,
  sweptKey,
} from './layout.ts';
import type { BlobEntry, BlobKey, Content, Reference } from './layout.ts';

export const blobUnknown = (digest: Digest): RegistryError =>
  new RegistryError('BLOB_UNKNOWN', 'blob unknown to repository', { detail: { digest } });

/** What the bucket says of a blob in a repository. */
export interface BlobState {
  readonly references: readonly Reference[];
  /** Those of `references` that a collection is about to remove. */
  readonly swept: ReadonlySet<string>;
  /** When somebody asked for it last, by the server's clock. */
  readonly askedMs: number | undefined;
}

/**
 * Reads what refers to a blob. A list is no snapshot: one that runs while a reference is replaced may have looked for the new
 * one too early and for the old one too late. Who finds nothing therefore looks again: a list sees all that was there before
 * it began.
 */
export async function readBlobState(bucket: Bucket, blob: BlobKey, call?: StorageCall): Promise<BlobState> {
  const state = await readOnce(bucket, blob, call);
  return state.references.length > 0 ? state : readOnce(bucket, blob, call);
}

async function readOnce(bucket: Bucket, blob: BlobKey, call?: StorageCall): Promise<BlobState> {
  const references: Reference[] = [];
  const swept = new Set<string>();
  let askedMs: number | undefined;
  for await (const { key, modifiedMs } of bucket.list(blobOfRepositoryPrefix(blob), call)) {
    const entry = parseBlobEntry(key);
    if (entry?.type === 'asked') askedMs = modifiedMs;
    else if (entry?.type === 'swept' && entry.reference !== undefined) swept.add(entry.reference.id);
    else if (entry?.reference !== undefined) references.push(entry.reference);
  }
  return { references, swept, askedMs };
}

/** References of all repositories to a blob, those of one page: enough to find a content. */
export async function* allReferences(bucket: Bucket, digest: Digest, call?: StorageCall): AsyncGenerator<BlobEntry> {
  for await (const { key } of bucket.list(blobPrefix(digest), call)) {
    const entry = parseBlobEntry(key);
    if (entry?.type === 'reference') yield entry;
  }
}

/**
 * Whether a content stays, for who has just referred to it. The order matters. A collection condemns a content, then looks
 * for references, then removes the content, and lifts the condemnation last. So one that is not condemned now was either
 * condemned later than our reference was made, which the collection then sees; or the content is gone.
 */
const stays = async (bucket: Bucket, { id }: Content): Promise<boolean> =>
  (await bucket.stat(condemnedKey(id))) === undefined && (await bucket.stat(contentKey(id))) !== undefined;

/**
 * Gives a repository a blob. Two objects: the reference, and the same below the repository's name, so that its blobs can be
 * listed. The reference is what counts; it is made last and removed first.
 *
 * @returns the reference; undefined when the content is being removed
 */
export async function addReference(bucket: Bucket, blob: BlobKey, content: Content): Promise<Reference | undefined> {
  const reference = freshReference(content);
  await bucket.put(linkKey(blob, reference.id), '');
  await bucket.put(referenceKey(blob, reference.id), '');
  if (await stays(bucket, content)) return reference;
  await removeReference(bucket, blob, reference);
  return undefined;
}

export async function removeReference(bucket: Bucket, blob: BlobKey, { id }: Reference): Promise<void> {
  await bucket.remove(referenceKey(blob, id));
  await Promise.all([bucket.remove(linkKey(blob, id)), bucket.remove(sweptKey(blob, id))]);
}

/**
 * Replaces a reference that a collection is about to remove. Such a one is never spared, as nobody could say which collection
 * already counts on its removal. When it is gone now, it may have been deleted by a client, which must not be undone.
 */
export async function renewReference(bucket: Bucket, blob: BlobKey, old: Reference): Promise<boolean> {
  const fresh = await addReference(bucket, blob, old.content);
  if (fresh === undefined) return false;
  if ((await bucket.stat(referenceKey(blob, old.id))) !== undefined) return true;
  await removeReference(bucket, blob, fresh);
  return false;
}

/** Takes a blob from a repository. @returns false when it wasn't there */
export async function removeReferences(bucket: Bucket, blob: BlobKey): Promise<boolean> {
  let found = false;
  // Again until nothing is left: somebody may be renewing one of them.
  for (;;) {
    const { references } = await readBlobState(bucket, blob);
    if (references.length === 0) break;
    found = true;
    await Promise.all(references.map((reference) => removeReference(bucket, blob, reference)));
  }
  if (found) await bucket.remove(askedKey(blob));
  return found;
}
