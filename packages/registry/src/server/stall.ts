export interface StallOptions {
  /** What has to be moved, on average, from one `timeoutMs` to the next. Default: anything. */
  readonly minBytesPerSecond?: number | undefined;
}

/** Aborts when nothing happens for too long, or so little that it can't be meant. */
export class Stall implements Disposable {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #minBytes: number;
  readonly #timer: NodeJS.Timeout;
  #pausedAtMs: number | undefined;
  /** When the other side began to be measured, moved on by the time that was ours. */
  #sinceMs = performance.now();
  #movedBytes = 0;

  constructor(timeoutMs: number, { minBytesPerSecond = 0 }: StallOptions = {}) {
    this.#timeoutMs = timeoutMs;
    this.#minBytes = (minBytesPerSecond * timeoutMs) / 1000;
    this.#timer = setTimeout(() => {
      if (this.#pausedAtMs !== undefined) this.#timer.refresh();
      else this.#controller.abort(new Error(`nothing happened for ${String(timeoutMs)} ms`));
    }, timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on it is us that nothing happens at. */
  pause(): void {
    this.#pausedAtMs ??= performance.now();
  }

  /** Something happened. @param bytes - how many were moved; left out: enough */
  touch(bytes: number = Infinity): void {
    const nowMs = performance.now();
    if (this.#pausedAtMs !== undefined) this.#sinceMs += nowMs - this.#pausedAtMs;
    this.#pausedAtMs = undefined;
    this.#timer.refresh();
    this.#movedBytes += bytes;
    if (nowMs - this.#sinceMs < this.#timeoutMs) return;
    if (this.#movedBytes < this.#minBytes) {
      this.#controller.abort(new Error(`only ${String(this.#movedBytes)} bytes in ${String(this.#timeoutMs)} ms`));
    }
    this.#sinceMs = nowMs;
    this.#movedBytes = 0;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
