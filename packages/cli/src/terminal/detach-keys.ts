import { badValue } from '../errors.ts';

const CONTROL: Readonly<Record<string, number>> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 };

/** The bytes of keys as Docker spells them: `ctrl-p,ctrl-q`, `a`, `ctrl-\`. An empty word means no keys. */
export function parseDetachKeys(word: string): readonly number[] {
  if (word === '') return [];
  return word.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]?.toLowerCase();
    if (control !== undefined) return CONTROL[control] ?? control.charCodeAt(0) - 96;
    if (key.length !== 1) throw badValue(`invalid detach keys (${word}): unknown character: '${key}'`);
    return key.charCodeAt(0);
  });
}

/**
 * Watches what is typed for the detach keys. The start of a sequence is held back until the next byte decides: either
 * it was the sequence, or everything held is handed over after all.
 */
export class DetachKeys {
  readonly #keys: readonly number[];
  #matched = 0;
  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What to pass on, and whether the sequence was complete; bytes typed after it are dropped. */
  feed(typed: Uint8Array): { readonly forward: Buffer; readonly detached: boolean } {
    const forward: number[] = [];
    for (const byte of typed) {
      if (this.#keys.length > 0 && byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched < this.#keys.length) continue;
        this.#matched = 0;
        return { forward: Buffer.from(forward), detached: true };
      }
      forward.push(...this.#keys.slice(0, this.#matched));
      this.#matched = 0;
      if (byte === this.#keys[0]) this.#matched = 1;
      else forward.push(byte);
    }
    return { forward: Buffer.from(forward), detached: false };
  }
}
