import { readFileSync } from 'node:fs';

import type { Descriptor } from '../descriptor.ts';
import { isDigest, type Digest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import { parseIndex, type Index } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';
import { replaceFile } from './durable.ts';
import type { StorePaths } from './paths.ts';

/** The specification's annotation for a name in a layout; ours are whole references, as skopeo and podman read them. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** The config digest, so that an id is found without reading every manifest. */
const ID = 'tsc.image.id';
/** Bytes of the files in the layers. */
const SIZE = 'tsc.image.size';

const INDEX_MAX_BYTES = 64 * 1024 ** 2;

/** One line of `index.json` that this store wrote: an image, under one of its names or none. */
export interface IndexEntry {
  readonly descriptor: Descriptor;
  readonly id: Digest;
  readonly name: string | undefined;
  readonly sizeBytes: number;
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

/** Our entry in a line; `undefined` for a line of another tool, which stays as it is. */
const readEntry = (descriptor: Descriptor): IndexEntry | undefined => {
  const { [ID]: id = '', [SIZE]: size, [REF_NAME]: name } = descriptor.annotations ?? {};
  return isDigest(id) ? { descriptor, id, name, sizeBytes: Number(size) } : undefined;
};

export const readEntries = (index: Index): readonly IndexEntry[] =>
  index.manifests.map(readEntry).filter((entry) => entry !== undefined);

/** The same image under another name, or none. */
export const renameEntry = (entry: IndexEntry, name: string | undefined): IndexEntry => {
  const others = Object.entries(entry.descriptor.annotations ?? {}).filter(([key]) => key !== REF_NAME);
  const annotations = {
    ...Object.fromEntries(others),
    [ID]: entry.id,
    [SIZE]: String(entry.sizeBytes),
    ...(name === undefined ? {} : { [REF_NAME]: name }),
  };
  return { ...entry, name, descriptor: { ...entry.descriptor, annotations } };
};

/** An index with other entries of ours and the same of others. */
const withEntries = (index: Index, entries: readonly IndexEntry[]): Index => ({
  ...index,
  manifests: [
    ...index.manifests.filter((line) => readEntry(line) === undefined),
    ...entries.map((entry) => entry.descriptor),
  ],
});

/** Images that no name is left of keep one nameless entry; named ones need none. */
const keepNameless = (before: readonly IndexEntry[], after: readonly IndexEntry[]): readonly IndexEntry[] => {
  const named = new Set(after.filter(({ name }) => name !== undefined).map(({ id }) => id));
  const kept = after.filter(({ id, name }) => name !== undefined || !named.has(id));
  const present = new Set(kept.map(({ id }) => id));
  const orphans = new Map(
    before.filter(({ id }) => !present.has(id)).map((entry) => [entry.id, renameEntry(entry, undefined)]),
  );
  return [...kept, ...orphans.values()];
};

/** Gives an image a name, which another may have had: that one stays, perhaps without any. */
export const addName = (index: Index, image: IndexEntry, name: string | undefined): Index => {
  const before = readEntries(index);
  const others = before.filter((entry) =>
    name === undefined ? entry.id !== image.id || entry.name !== undefined : entry.name !== name,
  );
  return withEntries(index, keepNameless(before, [...others, renameEntry(image, name)]));
};

/** Takes a name away; the image stays, perhaps without any. */
export const removeName = (index: Index, name: string): Index => {
  const before = readEntries(index);
  return withEntries(
    index,
    keepNameless(
      before,
      before.filter((entry) => entry.name !== name),
    ),
  );
};

export const removeImage = (index: Index, id: Digest): Index =>
  withEntries(
    index,
    readEntries(index).filter((entry) => entry.id !== id),
  );
