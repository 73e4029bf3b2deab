import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A lock that any operating system and file system has: a file that must not exist yet. It is held for milliseconds,
 * while a small file is replaced, so one that stays is a dead process's and is taken over; whoever was only slow notices
 * before it changes anything.
 */
export interface HeldLock {
  /** False when somebody took this lock for a dead one's. */
  readonly isHeld: () => Promise<boolean>;
}

const PAUSE_MAX_MS = 50;
/** How long one holder may be seen before it counts as dead; a file older than a minute does so at once. */
const PATIENCE_MS = 10_000;
const OLD_MS = 60_000;

const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  Error.isError(error) && 'code' in error && codes.includes(String(error.code));

const contentOf = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

const isOld = async (file: string): Promise<boolean> => {
  try {
    return Date.now() - (await stat(file)).mtimeMs > OLD_MS;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
};

/** Takes a dead holder's lock away; a living one's that came in between is put back. */
const takeAway = async (file: string, dead: string): Promise<void> => {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  // Where it can't be put back, its holder notices and begins anew.
  if ((await contentOf(aside)) !== dead) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
};

const tryTake = async (file: string, own: string): Promise<boolean> => {
  try {
    await writeFile(file, own, { flag: 'wx' });
    return true;
  } catch (error) {
    // Windows says EPERM of a name that is being removed.
    if (hasCode(error, 'EEXIST') || (process.platform === 'win32' && hasCode(error, 'EPERM'))) return false;
    throw error;
  }
};

const take = async (file: string, own: string, signal: AbortSignal | undefined): Promise<void> => {
  let [holder, since]: [string | undefined, number] = [undefined, 0];
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    signal?.throwIfAborted();
    if (await tryTake(file, own)) return;
    const now = await contentOf(file);
    if (now !== holder) [holder, since] = [now, performance.now()];
    const isDead = now !== undefined && ((await isOld(file)) || performance.now() - since > PATIENCE_MS);
    if (isDead) await takeAway(file, now);
    await sleep(pauseMs);
  }
};

/** Acts while holding the lock; what `act` wants to be sure of, it asks `isHeld` just before. */
export const withLockFile = async <T>(
  file: string,
  signal: AbortSignal | undefined,
  act: (lock: HeldLock) => Promise<T>,
): Promise<T> => {
  const own = randomUUID();
  await take(file, own, signal);
  const isHeld = async (): Promise<boolean> => (await contentOf(file)) === own;
  try {
    return await act({ isHeld });
  } finally {
    if (await isHeld()) await rm(file, { force: true });
  }
};
