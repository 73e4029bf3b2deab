import type { StorageCall } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import {
  blobOfRepositoryPrefix,
  BLOBS,
  CONDEMNED,
  condemnedKey,
  contentKey,
  CONTENTS,
  parseBlobEntry,
  uploadOfContent,
} from './layout.ts';
import { forEach } from './manifests.ts';
import type { Uploads } from './uploads.ts';

/** How many contents are compared with all references at once: what bounds our memory. */
const BATCH = 50_000;

interface SweepOptions extends StorageCall {
  readonly bucket: Bucket;
  readonly uploads: Uploads;
  readonly cutoffMs: number;
}

/**
 * Removes contents that nothing refers to. First they are condemned: from then on nobody makes a reference that stays. Then
 * their upload is looked for, which is ended after it became a blob; then, once more, all references. What has none now will
 * never have one. A content that turns out to be needed all the same stays condemned: it is as good as ever for those who have
 * it, and is pushed again by who hasn't. To lift its condemnation would need to know what other collections are about to do.
 *
 * @returns the sizes of what was removed
 */
export async function sweepContents(options: SweepOptions): Promise<readonly number[]> {
  const { bucket } = options;
  const corrupt = await readCondemned(bucket);
  const removed: number[] = [];
  let batch = new Map<string, number>();
  for await (const { key, sizeBytes } of bucket.list(CONTENTS)) {
    const id = key.slice(CONTENTS.length);
    if (!corrupt.has(id)) batch.set(id, sizeBytes);
    if (batch.size < BATCH) continue;
    removed.push(...(await sweepBatch(options, batch)));
    batch = new Map();
  }
  return [...removed, ...(await sweepBatch(options, batch))];
}

/** What scrub has set aside stays. What a collection that died has condemned and removed is forgotten. */
async function readCondemned(bucket: Bucket): Promise<ReadonlySet<string>> {
  const corrupt = new Set<string>();
  for await (const { key, sizeBytes } of bucket.list(CONDEMNED)) {
    const id = key.slice(CONDEMNED.length);
    if ((await bucket.stat(contentKey(id))) === undefined) await bucket.remove(key);
    else if (sizeBytes > 0) corrupt.add(id);
  }
  return corrupt;
}

async function sweepBatch(options: SweepOptions, loose: Map<string, number>): Promise<readonly number[]> {
  const { bucket, uploads, signal } = options;
  for await (const entry of references(options)) loose.delete(entry);
  await forEach([...loose.keys()], async (id) => {
    signal?.throwIfAborted();
    if (await uploads.log.exists(uploadOfContent(id))) loose.delete(id);
    else await bucket.put(condemnedKey(id), '');
  });
  if (loose.size === 0) return [];
  for await (const entry of references(options)) loose.delete(entry);
  const removed: number[] = [];
  await forEach([...loose], async ([id, sizeBytes]) => {
    await bucket.remove(contentKey(id));
    await bucket.remove(condemnedKey(id));
    removed.push(sizeBytes);
  });
  return removed;
}

/** Ids of contents that something refers to. On the way, what is left beside references that are gone is removed. */
async function* references({ bucket, cutoffMs, signal }: SweepOptions): AsyncGenerator<string> {
  let place = '';
  let asked: string | undefined;
  const known = new Set<string>();
  for await (const { key, modifiedMs } of bucket.list(BLOBS, { signal })) {
    const entry = parseBlobEntry(key);
    if (entry === undefined) continue;
    const here = blobOfRepositoryPrefix(entry.blob);
    if (here !== place) {
      if (asked !== undefined) await bucket.remove(asked);
      [place, asked] = [here, undefined];
      known.clear();
    }
    // In the order of keys, `asked` comes before the references of its blob, and these before their marks.
    if (entry.type === 'asked') asked = modifiedMs <= cutoffMs ? key : undefined;
    else if (entry.reference === undefined) continue;
    else if (entry.type === 'swept') {
      if (!known.has(entry.reference.id)) await bucket.remove(key);
    } else {
      asked = undefined;
      known.add(entry.reference.id);
      yield entry.reference.content.id;
    }
  }
  if (asked !== undefined) await bucket.remove(asked);
}
