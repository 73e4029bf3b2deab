/** Settles as a promise does, or with the signal's reason if that comes first. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Calls that several want at the same time are made once; each goes on to its end, also when nobody waits any more. */
export class SharedCalls {
  readonly #running = new Map<string, Promise<unknown>>();

  async share<T>(key: string, signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const call = (this.#running.get(key) ?? this.#start(key, run)) as Promise<T>;
    return await untilAborted(call, signal);
  }

  #start<T>(key: string, run: () => Promise<T>): Promise<T> {
    const call = run().finally(() => this.#running.delete(key));
    this.#running.set(key, call);
    // All who wait may have gone away.
    call.catch(() => undefined);
    return call;
  }

  /** Resolves when no call is under way any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }
}
