import type { Digest } from '../names.ts';

/** Of a digest, as many bits as make it hopeless to find two that agree. */
const WORDS = 4;
const FIRST_SLOTS = 1024;

/**
 * A set of digests in little room: 16 bytes for each, in a table that is at most two thirds full. A `Set` of texts takes ten
 * times as much, and a repository may have millions.
 */
export class DigestSet {
  #words = new Uint32Array(FIRST_SLOTS * WORDS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(digest: Digest): boolean {
    return this.#isTaken(this.#slotOf(wordsOf(digest)));
  }

  /** @returns false when it was there */
  add(digest: Digest): boolean {
    if ((this.#size + 1) * WORDS * 1.5 > this.#words.length) this.#grow();
    return this.#put(wordsOf(digest));
  }

  #put(words: Uint32Array): boolean {
    const slot = this.#slotOf(words);
    if (this.#isTaken(slot)) return false;
    this.#words.set(words, slot);
    this.#size += 1;
    return true;
  }

  #isTaken(slot: number): boolean {
    return this.#words[slot] !== 0;
  }

  /** Where it is, or would be. */
  #slotOf(words: Uint32Array): number {
    const slots = this.#words.length / WORDS;
    for (let slot = (words[0] ?? 0) % slots; ; slot = (slot + 1) % slots) {
      const at = slot * WORDS;
      if (!this.#isTaken(at) || words.every((word, index) => this.#words[at + index] === word)) return at;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(old.length * 2);
    this.#size = 0;
    for (let at = 0; at < old.length; at += WORDS) if (old[at] !== 0) this.#put(old.subarray(at, at + WORDS));
  }
}

/** The first word is never 0, which is an empty place. A digest of sha512 differs from one of sha256 without being told. */
function wordsOf(digest: Digest): Uint32Array {
  const colon = digest.indexOf(':');
  const words = Uint32Array.from({ length: WORDS }, (_, index) =>
    Number.parseInt(digest.slice(colon + 1 + index * 8, colon + 9 + index * 8), 16),
  );
  words[0] ||= 1;
  return words;
}
