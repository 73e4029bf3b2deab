import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Digest } from '../names.ts';
import type { ContentState, StorageCall, VerifyOptions } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { condemnedKey, contentKey, damagedKey, manifestKey } from './layout.ts';
import type { BlobKey, Content } from './layout.ts';
import { allReferences, removeReference } from './references.ts';

/** Shorter rests are saved up. */
const REST_MS = 20;

export const isDigestOf = (bytes: Uint8Array, digest: Digest): boolean => {
  const [algorithm = '', hex] = digest.split(':');
  return createHash(algorithm).update(bytes).digest('hex') === hex;
};

/** Reads a content and compares it, no faster than it may. */
export async function judgeContent(
  bucket: Bucket,
  { id }: Content,
  { digest, signal, bytesPerSecond = Infinity }: VerifyOptions & { readonly digest: Digest },
): Promise<ContentState> {
  const [algorithm = '', hex] = digest.split(':');
  signal?.throwIfAborted();
  const found = await bucket.open(contentKey(id), undefined, { signal });
  if (found === undefined) return 'gone';
  const hash = createHash(algorithm);
  const begun = performance.now();
  let readBytes = 0;
  for await (const chunk of found.body as AsyncIterable<Uint8Array>) {
    signal?.throwIfAborted();
    hash.update(chunk);
    readBytes += chunk.byteLength;
    const restMs = (readBytes / bytesPerSecond) * 1000 - (performance.now() - begun);
    if (restMs > REST_MS) await sleep(restMs, undefined, { signal });
  }
  return hash.digest('hex') === hex ? 'intact' : 'corrupt';
}

export async function verifyContent(
  bucket: Bucket,
  digest: Digest,
  options: VerifyOptions = {},
): Promise<ContentState> {
  const contents = new Map<string, Content>();
  for await (const { reference } of allReferences(bucket, digest, options)) {
    if (reference !== undefined) contents.set(reference.content.id, reference.content);
  }
  const states: ContentState[] = [];
  for (const content of contents.values()) {
    const state = await judgeContent(bucket, content, { ...options, digest });
    if (state !== 'intact') await setAside(bucket, content, digest);
    states.push(state);
  }
  return states.find((state) => state === 'corrupt') ?? states.find((state) => state === 'intact') ?? 'gone';
}

/**
 * Takes a content from everybody. It is condemned first, and stays so: nobody refers to it any more. What it is said to be is
 * kept with it, for who wants to look at it.
 */
async function setAside(bucket: Bucket, { id }: Content, digest: Digest): Promise<void> {
  await bucket.put(condemnedKey(id), `corrupt ${digest}\n`);
  for (;;) {
    let found = false;
    for await (const { blob, reference } of allReferences(bucket, digest)) {
      if (reference?.content.id !== id) continue;
      found = true;
      await removeReference(bucket, blob, reference);
    }
    if (!found) return;
  }
}

/** A manifest that isn't what its digest says is set aside, and its tags stay. */
export async function verifyManifest(bucket: Bucket, manifest: BlobKey, call?: StorageCall): Promise<ContentState> {
  const key = manifestKey(manifest);
  const found = await bucket.read(key, call);
  if (found === undefined) return 'gone';
  if (isDigestOf(found.bytes, manifest.digest)) return 'intact';
  await bucket.put(damagedKey(manifest), found.bytes);
  // Not what somebody has just pushed again.
  if ((await bucket.stat(key))?.modifiedMs === found.modifiedMs) await bucket.remove(key);
  return 'corrupt';
}
