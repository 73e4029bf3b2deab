import { digestHex, type Digest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import { formatFamiliarReference, formatReference, parseReference, type Reference } from '../reference.ts';
import { repoDigestsOf, type IndexEntry } from './index-file.ts';

/** What a word found: an image, and whether the word was one of its names. */
export interface Found {
  readonly entry: IndexEntry;
  /** The full name, or the full name with its digest, when the word was one. */
  readonly name: string | undefined;
}

const ID_PREFIX = /^(?:sha256:)?([0-9a-f]{1,64})$/;

const parse = (word: string): Reference | undefined => {
  try {
    return parseReference(word);
  } catch (error) {
    if (isImageError(error)) return undefined;
    throw error;
  }
};

/** The repository in full: `docker.io/library/debian`. */
export const repositoryOf = (name: string): string => {
  const { domain, path } = parseReference(name);
  return `${domain}/${path}`;
};

const byDigest = (entries: readonly IndexEntry[], { domain, path }: Reference, digest: Digest): Found | undefined => {
  const name = `${domain}/${path}@${digest}`;
  const known = entries.find(({ repoDigests }) => repoDigests.includes(name));
  if (known !== undefined) return { entry: known, name };
  const named = entries.find(
    (entry) =>
      entry.descriptor.digest === digest &&
      entry.name !== undefined &&
      repositoryOf(entry.name) === `${domain}/${path}`,
  );
  return named === undefined ? undefined : { entry: named, name: undefined };
};

const byReference = (entries: readonly IndexEntry[], reference: Reference): Found | undefined => {
  if (reference.digest !== undefined) return byDigest(entries, reference, reference.digest);
  const name = formatReference(reference);
  const entry = entries.find((each) => each.name === name);
  return entry === undefined ? undefined : { entry, name };
};

const byIdPrefix = (entries: readonly IndexEntry[], prefix: string): IndexEntry | undefined => {
  const found = entries.filter(({ id }) => digestHex(id).startsWith(prefix));
  if (new Set(found.map(({ id }) => id)).size > 1) {
    throw new ImageError('IMAGE_AMBIGUOUS', `multiple IDs found with provided prefix: ${prefix}`, { path: prefix });
  }
  return found[0];
};

/**
 * Finds an image by its name, `name@digest`, id or the beginning of its id; a name goes before an id, as in Docker.
 *
 * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`
 */
export const findImage = (entries: readonly IndexEntry[], word: string): Found => {
  const reference = parse(word);
  const named = reference === undefined ? undefined : byReference(entries, reference);
  if (named !== undefined) return named;
  const prefix = ID_PREFIX.exec(word)?.[1];
  const identified = prefix === undefined ? undefined : byIdPrefix(entries, prefix);
  if (identified !== undefined) return { entry: identified, name: undefined };
  const shown = reference === undefined ? word : formatFamiliarReference(reference);
  throw new ImageError('IMAGE_NOT_FOUND', `no such image: ${shown}`, { path: word });
};

const familiar = (name: string): string => formatFamiliarReference(parseReference(name));

/** Every name of an image, short, sorted. */
export const namesOf = (entries: readonly IndexEntry[], id: Digest): readonly string[] =>
  fullNamesOf(entries, id).map(familiar).sort();

/** Every name of an image with a digest, short, sorted. */
export const familiarDigestsOf = (entries: readonly IndexEntry[], id: Digest): readonly string[] =>
  repoDigestsOf(entries, id).map(familiar).sort();

export const fullNamesOf = (entries: readonly IndexEntry[], id: Digest): readonly string[] =>
  entries.flatMap((entry) => (entry.id === id && entry.name !== undefined ? [entry.name] : []));
