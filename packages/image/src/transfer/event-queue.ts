/** How often the progress of one thing is told. */
const PROGRESS_MS = 100;

/**
 * Events of work that goes on meanwhile. Of an event that has a key, only the last one is told every now and then, so that
 * a slow reader costs no memory, and a quick one no time.
 */
export class EventQueue<E> implements Disposable {
  readonly #events: E[] = [];
  readonly #progress = new Map<string, E>();
  #news: PromiseWithResolvers<undefined> = Promise.withResolvers();
  #isDone = false;
  #timer: NodeJS.Timeout | undefined;

  /** Tells it soon, in order, and takes back what is untold of the same key. */
  push(event: E, key?: string): void {
    if (key !== undefined) this.#progress.delete(key);
    this.#events.push(event);
    this.#news.resolve(undefined);
  }

  /** Tells it now and then, unless something newer comes. */
  update(event: E, key: string): void {
    this.#progress.set(key, event);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#events.push(...this.#progress.values());
      this.#progress.clear();
      this.#news.resolve(undefined);
    }, PROGRESS_MS);
  }

  /** All events until the work is done; returns what it returns. */
  async *drain<R>(work: Promise<R>): AsyncGenerator<E, R, void> {
    const end = (): void => {
      this.#isDone = true;
      this.#news.resolve(undefined);
    };
    work.then(end, end);
    while (!this.#isDone) {
      await this.#news.promise;
      this.#news = Promise.withResolvers();
      yield* this.#events.splice(0);
    }
    yield* this.#events.splice(0);
    return await work;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Runs work that tells events. Whoever stops reading stops the work, and waits until it has cleaned up. */
export async function* withEvents<E, R>(
  signal: AbortSignal | undefined,
  act: (queue: EventQueue<E>, signal: AbortSignal) => Promise<R>,
): AsyncGenerator<E, R, void> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  using queue = new EventQueue<E>();
  const work = act(queue, signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]));
  try {
    return yield* queue.drain(work);
  } finally {
    stop.abort();
    await work.catch(() => undefined);
  }
}
