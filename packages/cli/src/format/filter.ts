import { badValue } from '../errors.ts';

/** `--filter key=value` words by key. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/** Reads filters, of which only `known` keys are allowed. */
export function parseFilters(words: readonly string[], known: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals === -1)
      throw badValue(`invalid argument "${word}" for "-f, --filter" flag: bad format of filter (expected name=value)`);
    const key = word.slice(0, equals).trim().toLowerCase();
    if (!known.includes(key)) throw badValue(`invalid filter '${key}': use one of ${known.join(', ')}`);
    filters.set(key, [...(filters.get(key) ?? []), word.slice(equals + 1).trim()]);
  }
  return filters;
}

/** True when the key isn't filtered, or one of its values matches. */
export const matchesAny = (filters: Filters, key: string, matches: (value: string) => boolean): boolean =>
  filters.get(key)?.some(matches) ?? true;

/** True when every `label` filter, `key` or `key=value`, is met. */
export const matchesLabels = (filters: Filters, labels: Readonly<Record<string, string>>): boolean =>
  (filters.get('label') ?? []).every((wanted) => {
    const equals = wanted.indexOf('=');
    if (equals === -1) return Object.hasOwn(labels, wanted);
    const key = wanted.slice(0, equals);
    return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1);
  });
