/** Aborts when nothing happens for too long. */
export class Stall implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #paused = false;

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => {
      if (this.#paused) this.#timer.refresh();
      else this.#controller.abort(new Error(`nothing happened for ${String(timeoutMs)} ms`));
    }, timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on it is us that nothing happens at. */
  pause(): void {
    this.#paused = true;
  }

  /** Something happened. */
  touch(): void {
    this.#paused = false;
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
