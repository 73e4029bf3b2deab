/** A map whose entries are forgotten after their time, and the oldest of them when there are too many. */
export class ExpiringMap<T> {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, { readonly value: T; readonly untilMs: number }>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.untilMs > performance.now()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, value: T, ttlMs: number): void {
    this.#entries.delete(key);
    if (ttlMs > 0) this.#entries.set(key, { value, untilMs: performance.now() + ttlMs });
    const oldest = this.#entries.keys().next().value;
    if (this.#entries.size > this.#maxEntries && oldest !== undefined) this.#entries.delete(oldest);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
