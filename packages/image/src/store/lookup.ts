import { digestHex, type Digest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import {
  formatFamiliarReference,
  formatReference,
  formatRepository,
  parseReference,
  type Reference,
} from '../reference.ts';
import type { IndexEntry } from './index-file.ts';

/** What a word found: an image, and whether the word was one of its names. */
export interface Found {
  readonly entry: IndexEntry;
  /** The full name, when the word was one. */
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

const byReference = (entries: readonly IndexEntry[], reference: Reference): IndexEntry | undefined => {
  if (reference.digest === undefined) {
    const name = formatReference(reference);
    return entries.find((entry) => entry.name === name);
  }
  const repository = formatRepository(reference);
  return entries.find(
    ({ name, descriptor }) =>
      descriptor.digest === reference.digest &&
      name !== undefined &&
      formatRepository(parseReference(name)) === repository,
  );
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
  if (named !== undefined) return { entry: named, name: reference?.digest === undefined ? named.name : undefined };
  const prefix = ID_PREFIX.exec(word)?.[1];
  const identified = prefix === undefined ? undefined : byIdPrefix(entries, prefix);
  if (identified !== undefined) return { entry: identified, name: undefined };
  const shown = reference === undefined ? word : formatFamiliarReference(reference);
  throw new ImageError('IMAGE_NOT_FOUND', `no such image: ${shown}`, { path: word });
};

/** Every name of an image, short, sorted. */
export const namesOf = (entries: readonly IndexEntry[], id: Digest): readonly string[] =>
  entries
    .filter((entry) => entry.id === id)
    .flatMap(({ name }) => (name === undefined ? [] : [formatFamiliarReference(parseReference(name))]))
    .sort();
