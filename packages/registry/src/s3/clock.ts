import type { Bucket } from './bucket.ts';
import { CLOCK_KEY } from './layout.ts';

/** Times of objects are cut to seconds by some servers. */
const CUT_MS = 1000;

/** The time by the server's clock, which is what objects are dated by, in milliseconds since the epoch. */
export async function serverNowMs(bucket: Bucket): Promise<number> {
  await bucket.put(CLOCK_KEY, '');
  return (await bucket.stat(CLOCK_KEY))?.modifiedMs ?? 0;
}

/** What is younger than this stays. An age of 0 lets nothing stay. */
export const cutoffOf = (nowMs: number, ageMs: number): number => (ageMs <= 0 ? Infinity : nowMs - ageMs - CUT_MS);
