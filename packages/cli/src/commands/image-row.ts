import type { StoredImage } from '@tsc/image';

import { badValue } from '../errors.ts';
import { goTimestamp, humanDuration } from '../format/duration.ts';
import { matchesAny, matchesLabels, parseFilters } from '../format/filter.ts';
import type { Filters } from '../format/filter.ts';
import type { Row } from '../format/listing.ts';
import { shortId } from '../format/shorten.ts';
import { humanSize } from '../format/size.ts';

const NONE = '<none>';

/** Repository and tag of a short name: `localhost:5000/app:1` is `localhost:5000/app` and `1`. */
export function splitName(name: string): { readonly repository: string; readonly tag: string } {
  const colon = name.lastIndexOf(':');
  if (colon <= name.lastIndexOf('/')) return { repository: name, tag: NONE };
  return { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}

/** The rows that `images` shows for one image: one for each name. */
export function imageRows(
  image: StoredImage,
  { now, truncate }: { readonly now: Date; readonly truncate: boolean },
): readonly Row[] {
  const created = new Date(image.created ?? Number.NaN);
  const known = !Number.isNaN(created.getTime());
  const names = image.names.length === 0 ? [`${NONE}:${NONE}`] : image.names;
  return names.map((name) => {
    const { repository, tag } = splitName(name);
    return {
      CreatedAt: known ? goTimestamp(created) : 'N/A',
      CreatedSince: known ? `${humanDuration(now.getTime() - created.getTime())} ago` : 'N/A',
      Digest: image.manifestDigest,
      ID: truncate ? shortId(image.id) : image.id,
      Repository: repository,
      Size: humanSize(image.sizeBytes),
      Tag: tag,
    };
  });
}

export function parseImageFilters(words: readonly string[]): Filters {
  const filters = parseFilters(words, ['before', 'dangling', 'label', 'reference', 'since']);
  for (const word of filters.get('dangling') ?? []) {
    if (word !== 'true' && word !== 'false') throw badValue(`invalid filter 'dangling=${word}'`);
  }
  return filters;
}

/** True when filters on the image itself let it through; `bounds` are the moments of `before` and `since`. */
export function imageMatches(
  image: StoredImage,
  filters: Filters,
  bounds: { readonly before: Date | undefined; readonly since: Date | undefined },
): boolean {
  const created = new Date(image.created ?? 0);
  return (
    matchesLabels(filters, image.config.config?.Labels ?? {}) &&
    matchesAny(filters, 'dangling', (word) => (image.names.length === 0) === (word === 'true')) &&
    matchesAny(filters, 'reference', (word) => image.names.some((name) => matchesPattern(name, word))) &&
    (bounds.before === undefined || created < bounds.before) &&
    (bounds.since === undefined || created > bounds.since)
  );
}

/** `debian`, `debian:*`, `*app*:1`: a shell pattern over the repository, or over repository and tag. */
export function matchesPattern(name: string, pattern: string): boolean {
  const source = Array.from(pattern)
    .map((character) =>
      character === '*' ? '[^/]*' : character === '?' ? '[^/]' : character.replace(/[\\^$.|+()[\]{}]/, '\\$&'),
    )
    .join('');
  const expression = new RegExp(`^${source}$`);
  return expression.test(name) || expression.test(splitName(name).repository);
}
