interface Running<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/** Settles as `promise` does, or with the signal's reason if that comes first. */
export const untilAborted = async <T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
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
};

/** Calls that several want at the same time are made once; one is aborted when nobody waits for it any more. */
export class SharedCalls<T> {
  readonly #running = new Map<string, Running<T>>();

  async share(key: string, signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const call = this.#running.get(key) ?? this.#start(key, run);
    call.waiters += 1;
    try {
      return await untilAborted(call.result, signal);
    } finally {
      call.waiters -= 1;
      if (call.waiters === 0) this.#end(key, call);
    }
  }

  #start(key: string, run: (signal: AbortSignal) => Promise<T>): Running<T> {
    const controller = new AbortController();
    const call: Running<T> = { result: run(controller.signal), controller, waiters: 0 };
    this.#running.set(key, call);
    const forget = (): void => {
      if (this.#running.get(key) === call) this.#running.delete(key);
    };
    call.result.then(forget, forget);
    return call;
  }

  #end(key: string, call: Running<T>): void {
    if (this.#running.get(key) === call) this.#running.delete(key);
    call.controller.abort();
  }
}
