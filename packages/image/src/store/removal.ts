import { digestHex, type Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { formatFamiliarReference, parseReference } from '../reference.ts';
import { repoDigestsOf, type IndexEntry } from './index-file.ts';
import { findImage, fullNamesOf, repositoryOf, type Found } from './lookup.ts';

/** What a word of `docker rmi` takes away. */
export interface Removal {
  readonly id: Digest;
  /** Names and names with a digest, in full, that go. */
  readonly references: readonly string[];
  /** Nothing is left that holds the image. */
  readonly last: boolean;
}

/**
 * What goes with a word, by Docker's rules: a name, and with the last name of a repository the digests in it; a name with
 * a digest alone; an id with everything, unless that is more than one name.
 *
 * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `IMAGE_CONFLICT`
 */
export const planRemoval = (entries: readonly IndexEntry[], word: string, force: boolean): Removal => {
  const found = findImage(entries, word);
  const { id } = found.entry;
  const [names, digests] = [fullNamesOf(entries, id), repoDigestsOf(entries, id)];
  const all = [...names, ...digests];
  if (found.name === undefined) {
    refuseSeveral(found, all, force);
    return { id, references: all, last: true };
  }
  const going = new Set(found.name.includes('@') ? [found.name] : withDigests(found.name, names, digests));
  const references = all.filter((reference) => going.has(reference));
  return { id, references, last: references.length === all.length };
};

const withDigests = (name: string, names: readonly string[], digests: readonly string[]): readonly string[] => {
  const repository = repositoryOf(name);
  const isOther = (other: string): boolean => other !== name && repositoryOf(other) === repository;
  return names.some(isOther) ? [name] : [name, ...digests.filter((digest) => repositoryOf(digest) === repository)];
};

export const familiarReferences = (references: readonly string[]): readonly string[] =>
  references.map((reference) => formatFamiliarReference(parseReference(reference))).sort();

const refuseSeveral = ({ entry }: Found, references: readonly string[], force: boolean): void => {
  const tags = references.filter((reference) => !reference.includes('@'));
  const repositories = new Set(references.map(repositoryOf));
  if (force || (tags.length < 2 && repositories.size < 2)) return;
  const short = digestHex(entry.id).slice(0, 12);
  throw new ImageError(
    'IMAGE_CONFLICT',
    `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories: ${familiarReferences(tags.length < 2 ? references : tags).join(', ')}`,
    { path: entry.id },
  );
};
