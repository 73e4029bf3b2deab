import type { Digest } from '../names.ts';
import type { InventoryStorage } from '../storage.ts';

/** A count is used for so long before the next one. */
const RECOUNT_MS = 60_000;
/** Nobody is refused by a count that is older than this. */
const FRESH_MS = 1000;

interface Held {
  readonly sizeBytes: number;
  holders: number;
  /** One of the holders has added it. */
  added: boolean;
  /** The last count has seen it. */
  counted: boolean;
}

export interface Wish {
  /** Undefined while nobody knows. */
  readonly digest: Digest | undefined;
  readonly sizeBytes: number;
}

/**
 * What the blobs of one repository take. Counting them takes a look at each, so a count is kept, and what this process adds is
 * added to it. What is removed, and what other processes do, shows in the next count.
 */
export class Ledger {
  readonly #storage: InventoryStorage;
  readonly #name: string;
  #countedBytes = 0;
  #countedAt = -Infinity;
  #counting: Promise<void> | undefined;
  /** Blobs that are being added; each digest once, however many add it. */
  readonly #held = new Map<Digest, Held>();
  /** Blobs that were added since the last count began. */
  #added = new Map<Digest, number>();

  constructor(storage: InventoryStorage, name: string) {
    this.#storage = storage;
    this.#name = name;
  }

  get idle(): boolean {
    return this.#held.size === 0 && this.#counting === undefined;
  }

  /** Bytes of the blobs that are there, or will be in a moment. */
  get usedBytes(): number {
    const coming = [...this.#held.values()].filter(({ counted }) => !counted);
    return coming.reduce((sum, { sizeBytes }) => sum + sizeBytes, this.#countedBytes);
  }

  /**
   * Whether a blob fits. One with a digest is counted from then on, until {@link letGo}. The answer is never no by a count that
   * began more than a second ago.
   */
  async admit(wish: Wish, quotaBytes: number): Promise<boolean> {
    const askedAt = performance.now();
    if (this.#countedAt === -Infinity) await this.#count();
    // The old count does until the new one is there; its failure is met by who can't do without.
    else if (askedAt - this.#countedAt > RECOUNT_MS) this.#count().catch(() => undefined);
    for (;;) {
      // Nothing may be awaited between the look and the hold.
      if (this.#fits(wish, quotaBytes)) {
        if (wish.digest !== undefined) this.#hold(wish.digest, wish.sizeBytes);
        return true;
      }
      if (this.#countedAt >= askedAt - FRESH_MS) return false;
      await this.#count();
    }
  }

  #fits({ digest, sizeBytes }: Wish, quotaBytes: number): boolean {
    const known = digest !== undefined && this.#held.has(digest);
    return this.usedBytes + (known ? 0 : sizeBytes) <= quotaBytes;
  }

  #hold(digest: Digest, sizeBytes: number): void {
    const held = this.#held.get(digest);
    if (held === undefined) this.#held.set(digest, { sizeBytes, holders: 1, added: false, counted: false });
    else held.holders += 1;
  }

  /** A blob that was held is there now, or never will be. */
  letGo(digest: Digest, added: boolean): void {
    const held = this.#held.get(digest);
    if (held === undefined) return;
    held.holders -= 1;
    held.added ||= added;
    if (held.holders > 0) return;
    this.#held.delete(digest);
    if (!held.added) return;
    this.#added.set(digest, held.sizeBytes);
    if (!held.counted) this.#countedBytes += held.sizeBytes;
  }

  #count(): Promise<void> {
    this.#counting ??= this.#countNow().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #countNow(): Promise<void> {
    const begunAt = performance.now();
    const seen = new Set<Digest>();
    this.#added = new Map();
    let bytes = 0;
    for await (const { digest, sizeBytes } of this.#storage.listBlobs(this.#name)) {
      bytes += sizeBytes;
      if (this.#held.has(digest) || this.#added.has(digest)) seen.add(digest);
    }
    // Added when the list had passed their place.
    for (const [digest, sizeBytes] of this.#added) if (!seen.has(digest)) bytes += sizeBytes;
    for (const [digest, held] of this.#held) held.counted = seen.has(digest);
    this.#countedBytes = bytes;
    this.#countedAt = begunAt;
  }
}
