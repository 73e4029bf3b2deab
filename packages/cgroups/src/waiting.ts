import { setTimeout as sleep } from 'node:timers/promises';

import { CgroupError } from './errors.ts';

/** For everything that waits. */
export interface WaitOptions {
  /** Ends the wait with its reason; checked before the first effect too. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the kernel before `CGROUP_BUSY`. */
  readonly timeoutMs?: number | undefined;
}

export interface Waiting extends WaitOptions {
  readonly timeoutMs: number;
  /** What did not happen, for the error: `'freeze /sys/fs/cgroup/…'`. */
  readonly what: string;
}

const MAX_PAUSE_MS = 20;

/**
 * Calls `isDone` at once and then after pauses of 1, 2, 4 … 20 ms, until it says so. v1 has no events to wait for.
 *
 * @throws {@link CgroupError} `CGROUP_BUSY` after `timeoutMs`
 */
export async function waitUntil(isDone: () => boolean, { what, timeoutMs, signal }: Waiting): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 1; !isDone(); pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    if (performance.now() >= deadline) {
      throw new CgroupError('CGROUP_BUSY', `cannot ${what}: not done after ${String(timeoutMs)} ms`, {
        errno: 'EBUSY',
      });
    }
    await pause(pauseMs, signal);
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted(); // the caller's own reason, not Node's AbortError around it
    throw error;
  }
}
