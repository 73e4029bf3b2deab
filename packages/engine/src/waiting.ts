import { setTimeout as sleep } from 'node:timers/promises';

import type { MonitorConnection } from '@tsc/runtime';

const ended = (connection: MonitorConnection): Promise<unknown> =>
  Promise.race([connection.exit.catch(() => undefined), connection.closed]);

/** Whether the process ends before the time is up; no timer outlives the answer. */
export async function endsWithin(
  connection: MonitorConnection,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const timer = new AbortController();
  const either = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
  const timeIsUp = sleep(ms, false, { signal: either });
  try {
    return await Promise.race([ended(connection).then(() => true), timeIsUp]);
  } finally {
    timer.abort();
    timeIsUp.catch(() => undefined);
  }
}

/** A promise that gives up when the signal does; what it stood for goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => {
    aborted.reject(signal.reason as Error);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
