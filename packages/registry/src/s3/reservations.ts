import { setTimeout as sleep } from 'node:timers/promises';

import type { Digest } from '../names.ts';
import type { Bucket } from './bucket.ts';
import { reservationKey } from './layout.ts';
import { checkTag } from './manifests.ts';

const POLL_MS = 100;
/** One that nobody has released for so long is of a process that died. */
const LOST_MS = 30_000;

export interface Reservations {
  readonly name: string;
  readonly tags: readonly string[];
  readonly digest: Digest;
}

/**
 * Keeps immutable tags for us while we store what they are to name, so that a push that is refused has stored nothing. It is
 * the creation of the tag itself that makes it immutable, and this only keeps others from storing for nothing.
 *
 * @throws {@link RegistryError} `DENIED`: a tag is there and names another manifest
 */
export async function withReservations(
  bucket: Bucket,
  { name, tags, digest }: Reservations,
  act: () => Promise<void>,
): Promise<void> {
  const held: string[] = [];
  try {
    // In one order for all, so that no two wait for each other.
    for (const tag of tags.toSorted()) {
      const key = reservationKey(name, tag);
      await reserve(bucket, key, () => checkTag(bucket, { name, tag, digest }));
      held.push(key);
      await checkTag(bucket, { name, tag, digest });
    }
    await act();
  } finally {
    for (const key of held) await bucket.remove(key);
  }
}

async function reserve(bucket: Bucket, key: string, check: () => Promise<void>): Promise<void> {
  let seen = { modifiedMs: 0, atMs: performance.now() };
  for (;;) {
    await check();
    if (await bucket.create(key, '')) return;
    const { modifiedMs = 0 } = (await bucket.stat(key)) ?? {};
    if (modifiedMs !== seen.modifiedMs) seen = { modifiedMs, atMs: performance.now() };
    if (performance.now() - seen.atMs > LOST_MS) await bucket.remove(key);
    else await sleep(POLL_MS);
  }
}
