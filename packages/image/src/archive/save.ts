import type { Readable } from 'node:stream';

import { digestOf, type Digest } from '../digest.ts';
import { formatFamiliarReference, formatRepository, parseReference } from '../reference.ts';
import type { ImageStore } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { archiveStream, type ArchiveOptions, type NamedImage } from './write.ts';

/** What a word of `docker save` means: a repository is all its tags, a tag is itself, an id has no name. */
const findNamed = async (store: ImageStore, word: string): Promise<readonly NamedImage[]> => {
  const stored = await store.list();
  const inRepository = stored.flatMap(({ id, names }) =>
    names.filter((name) => formatRepository(parseReference(name)) === word).map((name) => ({ id, name })),
  );
  if (inRepository.length > 0)
    return Promise.all(inRepository.map(async ({ id, name }) => ({ image: await store.image(id), names: [name] })));
  const { names } = await store.resolve(word);
  return [{ image: await store.image(word), names: names.filter((name) => isSameName(name, word)) }];
};

const isSameName = (name: string, word: string): boolean => {
  try {
    return formatFamiliarReference(parseReference(word)) === name;
  } catch {
    // An id.
    return false;
  }
};

const merged = (images: readonly NamedImage[]): readonly NamedImage[] => {
  const byManifest = new Map<Digest, NamedImage>();
  for (const { image, names } of images) {
    const digest = digestOf(image.manifestBytes);
    byManifest.set(digest, { image, names: [...new Set([...(byManifest.get(digest)?.names ?? []), ...names])] });
  }
  return [...byManifest.values()];
};

/**
 * The archive of images of a store, named as they were asked for: `docker save`. What is read cannot be removed from
 * under it: the store's content is held until the stream ends.
 *
 * @throws {@link ImageError} through the stream: `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, and as `archiveImages`
 */
export const saveArchive = (store: ImageStore, namesOrIds: readonly string[], options: ArchiveOptions = {}): Readable =>
  archiveStream(async function* () {
    await using work = await Workspace.create(store.paths, options.signal);
    const images = merged((await Promise.all(namesOrIds.map((word) => findNamed(store, word)))).flat());
    for (const { image } of images)
      for (const { descriptor } of image.layers) await work.holdBlob(descriptor.digest, options.signal);
    yield images.map(({ image, names }) => ({ artifact: image, names }));
  }, options);
