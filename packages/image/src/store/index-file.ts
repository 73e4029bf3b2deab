import { readFileSync } from 'node:fs';

import type { Descriptor } from '../descriptor.ts';
import { isDigest, type Digest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import { REF_NAME } from '../layout/layout-name.ts';
import { parseIndex, type Index } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';
import { replaceFile } from './durable.ts';
import type { StorePaths } from './paths.ts';

/** The config digest, so that an id is found without reading every manifest. */
const ID = 'tsc.image.id';
/** Bytes of the files in each layer, the lowest first: `1024,0,77`. */
const SIZE = 'tsc.image.size';
/** Where registries have the image: full names with a digest, of this manifest or of an index that lists it. */
const DIGESTS = 'tsc.image.digests';

const INDEX_MAX_BYTES = 64 * 1024 ** 2;

/** One line of `index.json` that this store wrote: an image, under one of its names or none. Names are whole references. */
export interface IndexEntry {
  readonly descriptor: Descriptor;
  readonly id: Digest;
  readonly name: string | undefined;
  /** Bytes of the files in each layer, the lowest first. */
  readonly layerSizes: readonly number[];
  /** In full: `docker.io/library/debian@sha256:…`. All lines of an image have the same. */
  readonly repoDigests: readonly string[];
}

export const readStoreIndex = (paths: StorePaths): Index => {
  try {
    return parseIndex(readFileSync(paths.indexFile), paths.indexFile, INDEX_MAX_BYTES);
  } catch (error) {
    if (!isImageError(error)) throw error;
    throw new ImageError('STORE_INVALID', `image store is damaged: ${error.message}`, {
      path: paths.indexFile,
      cause: error,
    });
  }
};

/** Call under the store's lock. */
export const writeStoreIndex = (paths: StorePaths, index: Index): void => {
  replaceFile(paths.indexFile, `${JSON.stringify(index)}\n`);
};

export const EMPTY_INDEX: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };

const list = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.split(',');

/** Our entry in a line; `undefined` for a line of another tool, which stays as it is. */
const readEntry = (descriptor: Descriptor): IndexEntry | undefined => {
  const { [ID]: id = '', [SIZE]: sizes, [DIGESTS]: digests, [REF_NAME]: name } = descriptor.annotations ?? {};
  if (!isDigest(id)) return undefined;
  return { descriptor, id, name, layerSizes: list(sizes).map(Number), repoDigests: list(digests) };
};

export const readEntries = (index: Index): readonly IndexEntry[] =>
  index.manifests.map(readEntry).filter((entry) => entry !== undefined);

const OURS: readonly string[] = [ID, SIZE, DIGESTS, REF_NAME];

/** The line of an entry, with the annotations of others that it came with. */
const writeEntry = ({ descriptor, id, name, layerSizes, repoDigests }: IndexEntry): Descriptor => {
  const others = Object.entries(descriptor.annotations ?? {}).filter(([key]) => !OURS.includes(key));
  const annotations = {
    ...Object.fromEntries(others),
    [ID]: id,
    [SIZE]: layerSizes.join(','),
    ...(repoDigests.length === 0 ? {} : { [DIGESTS]: repoDigests.join(',') }),
    ...(name === undefined ? {} : { [REF_NAME]: name }),
  };
  return { ...descriptor, annotations };
};

/** An index with other entries of ours and the same of others. */
const withEntries = (index: Index, entries: readonly IndexEntry[]): Index => ({
  ...index,
  manifests: [...index.manifests.filter((line) => readEntry(line) === undefined), ...entries.map(writeEntry)],
});

/** Images that no name is left of keep one nameless entry; named ones need none. */
const keepNameless = (before: readonly IndexEntry[], after: readonly IndexEntry[]): readonly IndexEntry[] => {
  const named = new Set(after.filter(({ name }) => name !== undefined).map(({ id }) => id));
  const kept = after.filter(({ id, name }) => name !== undefined || !named.has(id));
  const present = new Set(kept.map(({ id }) => id));
  const orphans = new Map(
    before.filter(({ id }) => !present.has(id)).map((entry) => [entry.id, { ...entry, name: undefined }]),
  );
  return [...kept, ...orphans.values()];
};

export const repoDigestsOf = (entries: readonly IndexEntry[], id: Digest): readonly string[] =>
  [...new Set(entries.filter((entry) => entry.id === id).flatMap(({ repoDigests }) => repoDigests))].sort();

const withRepoDigests = (
  entries: readonly IndexEntry[],
  id: Digest,
  repoDigests: readonly string[],
): readonly IndexEntry[] => entries.map((entry) => (entry.id === id ? { ...entry, repoDigests } : entry));

/** Gives an image a name, which another may have had: that one stays, perhaps without any. */
export const addName = (index: Index, image: IndexEntry, name: string | undefined): Index => {
  const before = readEntries(index);
  const others = before.filter((entry) =>
    name === undefined ? entry.id !== image.id || entry.name !== undefined : entry.name !== name,
  );
  const digests = repoDigestsOf([...before, image], image.id);
  const entries = keepNameless(before, [...others, { ...image, name }]);
  return withEntries(index, withRepoDigests(entries, image.id, digests));
};

/** Says where else an image is: `docker.io/library/debian@sha256:…`. Does nothing when the image isn't there. */
export const addRepoDigest = (index: Index, id: Digest, repoDigest: string): Index => {
  const entries = readEntries(index);
  const digests = [...new Set([...repoDigestsOf(entries, id), repoDigest])].sort();
  return withEntries(index, withRepoDigests(entries, id, digests));
};

/** Takes references, names or names with a digest, away from an image, which stays, perhaps without any. */
export const removeReferences = (index: Index, id: Digest, references: readonly string[]): Index => {
  const before = readEntries(index);
  const digests = repoDigestsOf(before, id).filter((digest) => !references.includes(digest));
  const after = before.filter(
    (entry) => entry.id !== id || entry.name === undefined || !references.includes(entry.name),
  );
  return withEntries(index, withRepoDigests(keepNameless(before, after), id, digests));
};

export const removeImages = (index: Index, ids: ReadonlySet<Digest>): Index =>
  withEntries(
    index,
    readEntries(index).filter((entry) => !ids.has(entry.id)),
  );
