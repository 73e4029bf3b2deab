/**
 * A filter as a decision diagram: each node looks at one 32-bit word of `seccomp_data` and hands on to the next, and
 * equal nodes are one object. Profiles become such a diagram, and the diagram becomes a program.
 */
export type Decision = Return | Search | Masked;

export interface Return {
  readonly type: 'return';
  readonly value: number;
}

/** Which range does the word fall into? */
export interface Search {
  readonly type: 'search';
  readonly word: number;
  /** Ascending; the first starts at 0, each ends where the next begins. Neighbours differ. */
  readonly ranges: readonly Range[];
}

export interface Range {
  readonly from: number;
  readonly to: Decision;
}

/** Is the word, and-ed with the mask, this value? */
export interface Masked {
  readonly type: 'masked';
  readonly word: number;
  readonly mask: number;
  readonly value: number;
  readonly then: Decision;
  readonly otherwise: Decision;
}

/** Offsets in `struct seccomp_data`, of a little-endian machine. */
export const WORD_NUMBER = 0;
export const WORD_ARCH = 4;
export const lowWord = (argument: number): number => 16 + 8 * argument;
export const highWord = (argument: number): number => 20 + 8 * argument;

/** Makes decisions, each once. */
export class Decisions {
  readonly #made = new Map<string, Decision>();
  readonly #ids = new Map<Decision, number>();

  returns(value: number): Decision {
    return this.#share(`r${String(value)}`, () => ({ type: 'return', value }));
  }

  /** Ranges in any number; neighbours with the same end become one, and one alone needs no question. */
  search(word: number, ranges: readonly Range[]): Decision {
    const merged = ranges.filter((range, index) => index === 0 || range.to !== ranges[index - 1]?.to);
    const [first] = merged;
    if (first === undefined) throw new Error('a search needs a range');
    if (merged.length === 1) return first.to;
    const key = merged.map(({ from, to }) => `${String(from)}:${this.#id(to)}`).join();
    return this.#share(`s${String(word)},${key}`, () => ({ type: 'search', word, ranges: merged }));
  }

  masked(test: Omit<Masked, 'type'>): Decision {
    const { word, mask, value, then, otherwise } = test;
    if (then === otherwise) return then;
    const key = `m${[word, mask, value].join()},${this.#id(then)},${this.#id(otherwise)}`;
    return this.#share(key, () => ({ type: 'masked', ...test }));
  }

  /** `then` if the word is between two numbers, both included. */
  within(word: number, bounds: readonly [number, number], [then, otherwise]: readonly [Decision, Decision]): Decision {
    const [low, high] = bounds;
    return this.search(word, [
      ...(low > 0 ? [{ from: 0, to: otherwise }] : []),
      { from: low, to: then },
      ...(high < 0xffff_ffff ? [{ from: high + 1, to: otherwise }] : []),
    ]);
  }

  #id(decision: Decision): string {
    const id = this.#ids.get(decision) ?? this.#ids.size;
    this.#ids.set(decision, id);
    return String(id);
  }

  #share(key: string, make: () => Decision): Decision {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#made.set(key, made);
    return made;
  }
}
