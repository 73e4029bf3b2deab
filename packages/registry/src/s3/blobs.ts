import { Readable } from 'node:stream';

import type { ByteRange } from '../ranges.ts';
import type { BlobInfo, OpenBlob, StorageCall } from '../storage.ts';
import type { Bucket, OpenObject } from './bucket.ts';
import { askedKey, contentKey } from './layout.ts';
import type { BlobKey, Content } from './layout.ts';
import { addReference, allReferences, blobUnknown, readBlobState, renewReference } from './references.ts';

/** Who asks for a blob again within this time needn't say so; collections add it to the grace period. */
export const ASKED_MS = 10_000;
const ASKED_MAX = 10_000;

/** Which blobs this process has lately said to be needed. */
export class Asked {
  readonly #atMs = new Map<string, number>();

  isFresh(key: string): boolean {
    return performance.now() - (this.#atMs.get(key) ?? -Infinity) < ASKED_MS;
  }

  /** @param atMs - when the request began, of the monotonic clock */
  remember(key: string, atMs: number): void {
    this.#atMs.delete(key);
    this.#atMs.set(key, atMs);
    const oldest = this.#atMs.keys().next().value;
    if (this.#atMs.size > ASKED_MAX && oldest !== undefined) this.#atMs.delete(oldest);
  }
}

/**
 * Finds a blob, and says that it is needed, which the grace period counts from. First it is said, then looked whether a
 * collection is about to remove the blob: that one first says so, then looks whether it is needed. One sees the other.
 *
 * @throws {@link RegistryError} `BLOB_UNKNOWN`
 */
export async function statBlob(
  { bucket, asked }: { readonly bucket: Bucket; readonly asked: Asked },
  blob: BlobKey,
  call?: StorageCall,
): Promise<BlobInfo> {
  let state = await readBlobState(bucket, blob, call);
  const key = askedKey(blob);
  if (state.references.length > 0 && !asked.isFresh(key)) {
    const atMs = performance.now();
    await bucket.put(key, '', call);
    state = await readBlobState(bucket, blob, call);
    asked.remember(key, atMs);
  }
  const live = state.references.find(({ id }) => !state.swept.has(id));
  if (live !== undefined) return { sizeBytes: live.content.sizeBytes };
  for (const reference of state.references) {
    if (await renewReference(bucket, blob, reference)) return { sizeBytes: reference.content.sizeBytes };
  }
  throw blobUnknown(blob.digest);
}

/**
 * Begins to read a blob at once, as only that keeps it readable when it is deleted.
 *
 * @throws {@link RegistryError} `BLOB_UNKNOWN`
 */
export async function openBlob(bucket: Bucket, blob: BlobKey, call?: StorageCall): Promise<OpenBlob> {
  // Twice, as the one that was found may have been replaced by another one before it could be opened.
  for (let attempt = 0; attempt < 2; attempt++) {
    for (const { content } of (await readBlobState(bucket, blob, call)).references) {
      const found = await bucket.open(contentKey(content.id), undefined, call);
      if (found !== undefined) return holdOpen(bucket, content, found);
    }
  }
  throw blobUnknown(blob.digest);
}

function holdOpen(bucket: Bucket, { id, sizeBytes }: Content, { body }: OpenObject): OpenBlob {
  // It is watched from now on; its failure shows to who reads it.
  body.on('error', () => undefined);
  const isAll = ({ first, last }: ByteRange): boolean => first === 0 && last >= sizeBytes - 1;
  return {
    sizeBytes,
    stream: (range) =>
      range === undefined || isAll(range)
        ? body
        : Readable.from(readRange(bucket, id, { body, range }), { objectMode: false }),
    close: () => {
      body.destroy();
      return Promise.resolve();
    },
  };
}

interface RangeOfBody {
  readonly body: Readable;
  readonly range: ByteRange;
}

/** The range by itself; when the content is gone meanwhile, out of what is being read since it was opened. */
async function* readRange(bucket: Bucket, id: string, { body, range }: RangeOfBody): AsyncGenerator<Uint8Array> {
  try {
    const part = await bucket.open(contentKey(id), range);
    if (part !== undefined) {
      body.destroy();
      yield* part.body as AsyncIterable<Uint8Array>;
      return;
    }
    let at = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      const piece = chunk.subarray(Math.max(0, range.first - at), Math.max(0, range.last + 1 - at));
      if (piece.byteLength > 0) yield piece;
      at += chunk.byteLength;
      if (at > range.last) return;
    }
  } finally {
    body.destroy();
  }
}

/** Where a blob can be had without us. @throws {@link RegistryError} `BLOB_UNKNOWN` */
export async function findContent(bucket: Bucket, blob: BlobKey, call?: StorageCall): Promise<Content> {
  const { references } = await readBlobState(bucket, blob, call);
  const [reference] = references;
  if (reference === undefined) throw blobUnknown(blob.digest);
  return reference.content;
}

/** Mounts a blob that one of some repositories has; undefined: any. */
export async function mountBlob(bucket: Bucket, blob: BlobKey, from: readonly string[] | undefined): Promise<boolean> {
  if (from === undefined) return (await referToKnown(bucket, blob)) !== undefined;
  for (const name of from) {
    for (const { content } of (await readBlobState(bucket, { name, digest: blob.digest })).references) {
      if ((await addReference(bucket, blob, content)) !== undefined) return true;
    }
  }
  return false;
}

/** Refers to a content that is there already. */
export async function referToKnown(bucket: Bucket, blob: BlobKey): Promise<Content | undefined> {
  const tried = new Set<string>();
  for await (const { reference } of allReferences(bucket, blob.digest)) {
    if (reference === undefined || tried.has(reference.content.id)) continue;
    tried.add(reference.content.id);
    if ((await addReference(bucket, blob, reference.content)) !== undefined) return reference.content;
  }
  return undefined;
}
