/** So many in so long; all of them may come at once. */
export interface Rate {
  readonly requests: number;
  readonly perSeconds: number;
}

export interface Admission {
  readonly rate: Rate;
  /** How many more may come now. */
  readonly remaining: number;
  /** Undefined: let in. Else when one more will be. */
  readonly retryMs: number | undefined;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** What is lost where a bucket fills up by fractions. */
const ROUNDING = 1e-9;

/** A bucket of tokens for each client, of which those that asked last are remembered. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #max: number;
  readonly #now: () => number;
  /** In the order of use: a Map keeps that of insertion. */
  readonly #buckets = new Map<string, Bucket>();

  /** @throws TypeError: a rate that lets nobody in */
  constructor(rate: Rate, max: number, now: () => number = () => performance.now()) {
    if (!(rate.requests >= 1 && rate.perSeconds > 0)) {
      throw new TypeError(`a rate of ${String(rate.requests)} in ${String(rate.perSeconds)} s lets nobody in`);
    }
    this.#rate = rate;
    this.#max = max;
    this.#now = now;
  }

  get size(): number {
    return this.#buckets.size;
  }

  take(client: string): Admission {
    const rate = this.#rate;
    const perMs = rate.requests / (rate.perSeconds * 1000);
    const atMs = this.#now();
    const before = this.#buckets.get(client) ?? { tokens: rate.requests, atMs };
    const tokens = Math.min(rate.requests, before.tokens + (atMs - before.atMs) * perMs);
    const admitted = tokens >= 1 - ROUNDING;
    const left = admitted ? Math.max(0, tokens - 1) : tokens;
    this.#keep(client, { tokens: left, atMs });
    return { rate, remaining: Math.floor(left), retryMs: admitted ? undefined : (1 - tokens) / perMs };
  }

  #keep(client: string, bucket: Bucket): void {
    this.#buckets.delete(client);
    this.#buckets.set(client, bucket);
    if (this.#buckets.size <= this.#max) return;
    const [oldest = ''] = this.#buckets.keys();
    this.#buckets.delete(oldest);
  }
}
