import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { flock, hasCode, LOCK_EX, LOCK_NB } from '@tsc/sys';

const PAUSE_MAX_MS = 50;

const isStill = (file: string, fd: number): boolean =>
  statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;

/**
 * Takes an exclusive lock without waiting; `undefined` when another holder, in this process or another, has it, or has
 * just removed the file.
 */
export const tryLock = (file: string): Disposable | undefined => {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    flock(fd, LOCK_EX | LOCK_NB);
  } catch (error) {
    closeSync(fd);
    if (hasCode(error, 'EAGAIN', 'EWOULDBLOCK')) return undefined;
    throw error;
  }
  if (!isStill(file, fd)) {
    closeSync(fd);
    return undefined;
  }
  let held = true;
  return {
    [Symbol.dispose]: () => {
      if (held) closeSync(fd);
      held = false;
    },
  };
};

/** Waits for an exclusive lock without blocking the event loop. The kernel releases it when its holder dies. */
const lock = async (file: string, signal?: AbortSignal): Promise<Disposable> => {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    signal?.throwIfAborted();
    const held = tryLock(file);
    if (held !== undefined) return held;
    await sleep(pauseMs, undefined, { signal });
  }
};

/** Acts while holding the lock on `file`. Locks are not reentrant: nothing in `act` may want the same one. */
export const locked = async <T>(
  file: string,
  signal: AbortSignal | undefined,
  act: () => T | Promise<T>,
): Promise<T> => {
  const held = await lock(file, signal);
  try {
    return await act();
  } finally {
    held[Symbol.dispose]();
  }
};
