import type { Decision, Decisions, Range } from './decision.ts';

/** What a path through the diagram has found out: the word is between two numbers, both included. */
type Known = ReadonlyMap<number, readonly [number, number]>;

/**
 * The same decision without questions whose answer an earlier one gave, and with searches of the same word in one.
 *
 * A chain of rules asks for the high word of its argument again and again; this leaves one search of the high word and
 * one of the low word. The result grows with the product of the values compared, over all words of the chain.
 */
export function simplify(make: Decisions, decision: Decision, known: Known = new Map()): Decision {
  if (decision.type === 'return') return decision;
  if (decision.type === 'masked') {
    const then = simplify(make, decision.then, known);
    return make.masked({ ...decision, then, otherwise: simplify(make, decision.otherwise, known) });
  }
  const { word, ranges } = decision;
  const [low, high] = known.get(word) ?? [0, 0xffff_ffff];
  const kept = ranges.flatMap(({ from, to }, index): readonly Range[] => {
    const start = Math.max(from, low);
    const end = Math.min((ranges[index + 1]?.from ?? Infinity) - 1, high);
    if (start > end) return [];
    const inner = simplify(make, to, new Map([...known, [word, [start, end]]]));
    if (inner.type !== 'search' || inner.word !== word) return [{ from: start, to: inner }];
    return inner.ranges.map((range) => ({ from: Math.max(range.from, start), to: range.to }));
  });
  return make.search(
    word,
    kept.map((range, index) => (index === 0 ? { from: 0, to: range.to } : range)),
  );
}
