import type { Digest } from '../names.ts';
import type { GarbageReport, StorageCall, UnreadableManifest } from '../storage.ts';
import { ASKED_MS } from './blobs.ts';
import type { Bucket } from './bucket.ts';
import { cutoffOf, serverNowMs } from './clock.ts';
import {
  askedKey,
  damagedKey,
  digestAtEnd,
  END,
  linkKey,
  LINKS,
  linksPrefix,
  parseLink,
  sweptKey,
  taggedPrefix,
} from './layout.ts';
import type { BlobKey, Reference } from './layout.ts';
import { forEach } from './manifests.ts';
import type { Needs } from './needs.ts';
import { readBlobState, removeReference, renewReference } from './references.ts';
import { sweepContents } from './sweep-contents.ts';
import type { Uploads } from './uploads.ts';

export interface CollectOptions extends StorageCall {
  readonly bucket: Bucket;
  readonly uploads: Uploads;
  readonly needs: Needs;
  readonly graceMs: number;
}

interface Collection extends CollectOptions {
  /** What is younger stays. */
  readonly cutoffMs: number;
}

interface Linked {
  readonly newestMs: number;
  readonly references: readonly Reference[];
}

/**
 * Needs no lock, beside pushes, pulls and other collections of any process. It stands on three rules. A reference is made
 * once, under a name that nobody else uses, so who removes one never hits another. One that is marked for removal is never
 * spared, only replaced ({@link sweepBlob}). And a content that is condemned gets no more references ({@link sweepContents}).
 */
export async function collectGarbage(options: CollectOptions): Promise<GarbageReport> {
  const { bucket, uploads, graceMs, signal } = options;
  const ageMs = graceMs > 0 ? graceMs + ASKED_MS : 0;
  const collection = { ...options, cutoffMs: cutoffOf(await serverNowMs(bucket), ageMs) };
  let unlinkedBlobs = 0;
  const unreadable: UnreadableManifest[] = [];
  for await (const name of bucket.listNames(LINKS, { delimiter: END })) {
    signal?.throwIfAborted();
    const swept = await sweepRepository(collection, name);
    unlinkedBlobs += swept.unlinked;
    unreadable.push(...swept.unreadable.map((digest) => ({ name, digest })));
  }
  await uploads.abortLost();
  const removed = await sweepContents(collection);
  const removedBytes = removed.reduce((sum, size) => sum + size, 0);
  return {
    unlinkedBlobs,
    removedBlobs: removed.length,
    removedBytes,
    ...(unreadable.length > 0 ? { unreadable } : {}),
  };
}

async function linksOf(bucket: Bucket, name: string): Promise<ReadonlyMap<Digest, Linked>> {
  const links = new Map<Digest, Linked>();
  for await (const { key, modifiedMs } of bucket.list(linksPrefix(name))) {
    const link = parseLink(key);
    if (link === undefined) continue;
    const { newestMs, references } = links.get(link.digest) ?? { newestMs: 0, references: [] };
    const more = { newestMs: Math.max(newestMs, modifiedMs), references: [...references, link.reference] };
    links.set(link.digest, more);
  }
  return links;
}

interface RepositorySweep {
  readonly unlinked: number;
  readonly unreadable: readonly Digest[];
}

async function sweepRepository(collection: Collection, name: string): Promise<RepositorySweep> {
  const { bucket, needs, cutoffMs } = collection;
  const { needed, manifests, unreadable } = await needs.of(bucket, { name, cutoffMs });
  const old = [...(await linksOf(bucket, name))].filter(([, { newestMs }]) => newestMs <= cutoffMs);
  const aside: BlobKey[] = [];
  await forEach(old, async ([digest, linked]) => {
    const blob = { name, digest };
    if (needed.has(digest)) await removeSpare(bucket, blob, linked);
    else if (unreadable.length === 0 && (await markBlob(collection, blob, linked))) aside.push(blob);
  });
  let unlinked = 0;
  if (aside.length > 0) {
    // Read again: a manifest may have come to need what was not yet marked when it was checked.
    const now = await needs.of(bucket, { name, cutoffMs });
    await forEach(aside, async (blob) => {
      const isNeeded = now.needed.has(blob.digest) || now.unreadable.length > 0;
      if (await sweepBlob(collection, blob, isNeeded)) unlinked += 1;
    });
  }
  await removeHints(collection, name, manifests);
  return { unlinked, unreadable };
}

/** Says that a blob is about to be removed. @returns false for one that was asked for lately */
async function markBlob({ bucket, cutoffMs }: Collection, blob: BlobKey, linked: Linked): Promise<boolean> {
  const { references, askedMs = 0 } = await readBlobState(bucket, blob);
  if (askedMs > cutoffMs) return false;
  // What a process that died has left: the one of a pair that doesn't count.
  const known = new Set(references.map(({ id }) => id));
  for (const { id } of linked.references) if (!known.has(id)) await bucket.remove(linkKey(blob, id));
  for (const { id } of references) await bucket.put(sweptKey(blob, id), '');
  return references.length > 0;
}

/**
 * Removes the references that are marked, unless somebody needs the blob by now. Who checks for a blob first says that he asks
 * for it, then looks for a mark. We have made the mark, and look now whether somebody asked. So either we see him here, or
 * he has seen the mark, and made a reference of his own, or been told that there is no such blob.
 */
async function sweepBlob({ bucket, cutoffMs }: Collection, blob: BlobKey, needed: boolean): Promise<boolean> {
  const { references, swept, askedMs = 0 } = await readBlobState(bucket, blob);
  const marked = references.filter(({ id }) => swept.has(id));
  const isNeeded = needed || askedMs > cutoffMs;
  for (const reference of marked) {
    if (!isNeeded || (await renewReference(bucket, blob, reference))) await removeReference(bucket, blob, reference);
  }
  const gone = !isNeeded && marked.length === references.length;
  if (gone) await bucket.remove(askedKey(blob));
  return gone && marked.length > 0;
}

/** Of several references to a blob that is needed, which pushes at the same time make, one is enough. */
async function removeSpare(bucket: Bucket, blob: BlobKey, linked: Linked): Promise<void> {
  if (linked.references.length < 2) return;
  const { references, swept } = await readBlobState(bucket, blob);
  const [kept] = references.filter(({ id }) => !swept.has(id));
  if (kept === undefined) return;
  const spare = references.filter(({ id }) => id !== kept.id);
  for (const { id } of spare) await bucket.put(sweptKey(blob, id), '');
  const now = await readBlobState(bucket, blob);
  if (!now.references.some(({ id }) => id === kept.id) || now.swept.has(kept.id)) return;
  for (const reference of spare) await removeReference(bucket, blob, reference);
}

/** Hints at tags of manifests that are gone. */
async function removeHints(
  { bucket, cutoffMs }: Collection,
  name: string,
  manifests: ReadonlySet<Digest>,
): Promise<void> {
  for await (const { key, modifiedMs } of bucket.list(taggedPrefix(name))) {
    const digest = digestAtEnd(key.slice(0, key.lastIndexOf('/')));
    if (digest === undefined || manifests.has(digest) || modifiedMs > cutoffMs) continue;
    // A damaged manifest is found by them until it is pushed again.
    if ((await bucket.stat(damagedKey({ name, digest }))) === undefined) await bucket.remove(key);
  }
}
