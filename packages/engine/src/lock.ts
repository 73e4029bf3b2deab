import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { LOCK_EX, LOCK_NB, LOCK_SH, flock, hasCode } from '@tsc/sys';

/** A lock on a file. The kernel lets go of it when its holder dies, however that happens. */
export interface FileLock extends Disposable {
  readonly fd: number;
}

const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 20;

function held(fd: number): FileLock {
  let isHeld = true;
  return {
    fd,
    [Symbol.dispose]: () => {
      if (isHeld) closeSync(fd);
      isHeld = false;
    },
  };
}

function tryFlock(fd: number, operation: number): boolean {
  try {
    flock(fd, operation | LOCK_NB);
    return true;
  } catch (error) {
    if (hasCode(error, 'EAGAIN', 'EWOULDBLOCK')) return false;
    throw error;
  }
}

/** Waits for the lock of a directory, which is the directory itself. @throws the ENOENT of one that isn't there */
export async function lockDirectory(
  path: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<FileLock> {
  signal?.throwIfAborted();
  return acquire(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY), LOCK_EX, signal);
}

/** Takes a lock if it is free now. `undefined` if it isn't, or if there is no such file. */
export function tryLock(path: string, mode: 'exclusive' | 'shared' = 'exclusive'): FileLock | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  if (tryFlock(fd, mode === 'shared' ? LOCK_SH : LOCK_EX)) return held(fd);
  closeSync(fd);
  return undefined;
}

/** Waits for a lock, making the file if it isn't there. Others hold locks for milliseconds, so waiting is by looking again. */
export async function lock(
  path: string,
  {
    mode = 'exclusive',
    signal,
  }: { readonly mode?: 'exclusive' | 'shared' | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<FileLock> {
  signal?.throwIfAborted();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return acquire(openSync(path, 'a+', 0o600), mode === 'shared' ? LOCK_SH : LOCK_EX, signal);
}

async function acquire(fd: number, operation: number, signal: AbortSignal | undefined): Promise<FileLock> {
  try {
    for (let pauseMs = FIRST_RETRY_MS; !tryFlock(fd, operation);) {
      await sleep(pauseMs, undefined, { signal });
      pauseMs = Math.min(pauseMs * 2, LAST_RETRY_MS);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return held(fd);
}

/** Whether somebody holds the lock exclusively. A file that isn't there is not locked. */
export function isLocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
  try {
    return !tryFlock(fd, LOCK_SH);
  } finally {
    closeSync(fd);
  }
}
