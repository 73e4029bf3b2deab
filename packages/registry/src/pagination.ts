import { RegistryError } from './errors.ts';

/** How a client asks for a part of a list. */
export interface PageRequest {
  /** The most entries to answer with; undefined leaves it to the server. */
  readonly limit: number | undefined;
  /** Entries up to this one, in byte order, were seen. It need not exist. */
  readonly after: string | undefined;
}

const LIMIT_DIGITS = 9;

/**
 * Reads `n` and `last` of a list request.
 *
 * @throws {@link RegistryError} `UNSUPPORTED` with status 400: `n` is no count
 */
export function parsePage(query: URLSearchParams): PageRequest {
  const text = query.get('n');
  const after = query.get('last') ?? undefined;
  if (text === null) return { limit: undefined, after };
  if (text.length === 0 || text.length > LIMIT_DIGITS || Array.from(text).some((char) => char < '0' || char > '9')) {
    throw new RegistryError('UNSUPPORTED', 'n is a count', { status: 400 });
  }
  return { limit: Number(text), after };
}

export interface Page<T> {
  readonly entries: readonly T[];
  /** Where the next page begins; undefined on the last one. */
  readonly next: string | undefined;
}

/** Cuts a page out of entries that are sorted in byte order. */
export function takePage(sorted: readonly string[], { limit, after }: PageRequest): Page<string> {
  const start = after === undefined ? 0 : firstAfter(sorted, after);
  const entries = sorted.slice(start, limit === undefined ? undefined : start + limit);
  const more = start + entries.length < sorted.length;
  return { entries, next: more ? entries.at(-1) : undefined };
}

function firstAfter(sorted: readonly string[], after: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(sorted[middle] ?? '', after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The order of tag lists: by bytes, the same on every machine and in every locale. */
export const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The `Link` header that leads to the next page: a path, so that it is right behind any proxy. */
export function formatNextLink(path: string, next: string, limit: number | undefined): string {
  const query = new URLSearchParams({ ...(limit === undefined ? {} : { n: String(limit) }), last: next });
  return `<${path}?${query.toString()}>; rel="next"`;
}
