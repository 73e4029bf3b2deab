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

export interface ImageRowOptions {
  readonly now: Date;
  readonly truncate: boolean;
  /** Whether digests are to be seen: then there is a row for each, else one for each name. */
  readonly digests: boolean;
}

/** The rows that `images` shows for one image: one for each name, or for each repository that it has a digest of only. */
export function imageRows(image: StoredImage, { now, truncate, digests }: ImageRowOptions): readonly Row[] {
  const created = new Date(image.created ?? Number.NaN);
  const known = !Number.isNaN(created.getTime());
  const size = humanSize(image.sizeBytes);
  return placesOf(image, digests).map(({ repository, tag, digest }) => ({
    Containers: 'N/A',
    CreatedAt: known ? goTimestamp(created) : 'N/A',
    CreatedSince: known ? `${humanDuration(now.getTime() - created.getTime())} ago` : 'N/A',
    Digest: digest,
    ID: truncate ? shortId(image.id) : image.id,
    Repository: repository,
    SharedSize: 'N/A',
    Size: size,
    Tag: tag,
    UniqueSize: 'N/A',
    VirtualSize: size,
  }));
}

interface Place {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** Where an image is known, as Docker lists it. */
function placesOf(
  { names, repoDigests }: Pick<StoredImage, 'names' | 'repoDigests'>,
  digests: boolean,
): readonly Place[] {
  const known = repoDigests.map(splitDigest);
  const named = names.map(splitName);
  const tagged = named.flatMap(({ repository, tag }): readonly Place[] => {
    const own = digests ? known.filter((place) => place.repository === repository) : [];
    return own.length === 0
      ? [{ repository, tag, digest: NONE }]
      : own.map(({ digest }) => ({ repository, tag, digest }));
  });
  const others = known.filter(({ repository }) => named.every((name) => name.repository !== repository));
  const untagged = digests
    ? others.map((place) => ({ ...place, tag: NONE }))
    : [...new Set(others.map(({ repository }) => repository))].map((repository) => ({
        repository,
        tag: NONE,
        digest: NONE,
      }));
  const places = [...tagged, ...untagged];
  return places.length === 0 ? [{ repository: NONE, tag: NONE, digest: NONE }] : places;
}

/** `debian@sha256:…` */
function splitDigest(repoDigest: string): { readonly repository: string; readonly digest: string } {
  const at = repoDigest.lastIndexOf('@');
  return { repository: repoDigest.slice(0, at), digest: repoDigest.slice(at + 1) };
}

const FILTERS = ['before', 'dangling', 'label', 'reference', 'since', 'until'];

export function parseImageFilters(words: readonly string[]): Filters {
  const filters = parseFilters(words, FILTERS);
  for (const word of filters.get('dangling') ?? []) isTrue('dangling', word);
  if ((filters.get('until')?.length ?? 0) > 1) throw badValue('more than one until filter specified');
  return filters;
}

/** The two words each for yes and no that Docker's daemon reads. */
export function isTrue(key: string, word: string): boolean {
  if (word === 'true' || word === '1') return true;
  if (word === 'false' || word === '0') return false;
  throw badValue(`invalid filter '${key}=${word}'`);
}

/** The moments between which an image has to be made. */
export interface CreationBounds {
  readonly before: Date | undefined;
  readonly since: Date | undefined;
}

/** True when filters on the image itself let it through. */
export function imageMatches(image: StoredImage, filters: Filters, { before, since }: CreationBounds): boolean {
  const created = new Date(image.created ?? 0);
  return (
    matchesLabels(filters, image.config.config?.Labels ?? {}) &&
    matchesAny(filters, 'dangling', (word) => isTrue('dangling', word) === isDangling(image, word)) &&
    (before === undefined || created < before) &&
    (since === undefined || created > since)
  );
}

/** An image that was pulled by digest has no tag: it is listed with the dangling ones, and with the others. */
const isDangling = ({ names, repoDigests }: StoredImage, word: string): boolean =>
  names.length === 0 && (isTrue('dangling', word) || repoDigests.length === 0);

/** The image under those of its names only that one of the patterns matches; all of them without patterns. */
export function narrowNames(image: StoredImage, patterns: readonly string[]): StoredImage {
  if (patterns.length === 0) return image;
  const isWanted = (name: string): boolean => patterns.some((pattern) => matchesPattern(name, pattern));
  return { ...image, names: image.names.filter(isWanted), repoDigests: image.repoDigests.filter(isWanted) };
}

/** `debian`, `debian:*`, `*app*:1`: a shell pattern over the repository, or over repository and tag or digest. */
export function matchesPattern(name: string, pattern: string): boolean {
  const expression = new RegExp(`^${globSource(pattern)}$`, 's');
  return expression.test(name) || expression.test(repositoryOf(name));
}

const repositoryOf = (name: string): string =>
  name.includes('@') ? splitDigest(name).repository : splitName(name).repository;

/** The syntax of Go's path.Match: `*`, `?`, `[a-z]`, `[^a]`, and a backslash before what is meant as it stands. */
function globSource(pattern: string): string {
  const parts = pattern.match(/\\.|\[\^?(?:\\.|[^\]\\])+\]|./gs) ?? [];
  if (parts.some((part) => part === '[' || part === '\\')) throw badValue(`invalid filter 'reference=${pattern}'`);
  return parts.map(globPart).join('');
}

const quoted = (text: string): string => text.replace(/[\\^$.|+()[\]{}*?-]/g, '\\$&');

function globPart(part: string): string {
  if (part === '*') return '[^/]*';
  if (part === '?') return '[^/]';
  if (part.length > 1 && part.startsWith('\\')) return quoted(part.slice(1));
  if (part.length === 1) return quoted(part);
  const negated = part.startsWith('[^');
  const members = part.slice(negated ? 2 : 1, -1).match(/\\.|./gs) ?? [];
  const source = members.map((one) => (one === '-' ? '-' : quoted(one.length > 1 ? one.slice(1) : one))).join('');
  return `[${negated ? '^' : ''}${source}]`;
}
