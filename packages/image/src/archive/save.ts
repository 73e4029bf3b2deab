import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { Descriptor } from '../descriptor.ts';
import { digestHex, digestOf, type Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { imageId, manifestDigest, type Image, type Layer } from '../image/image.ts';
import { recompressImage } from '../image/recompress.ts';
import type { Compression } from '../layer/compression.ts';
import type { Index } from '../manifest.ts';
import { CONTAINERD_NAME, REF_NAME } from '../layout/layout-name.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../media-types.ts';
import { formatFamiliarReference, formatReference, formatRepository, parseReference } from '../reference.ts';
import { storeNames, type ImageStore } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { encodeHeader, padding, TRAILER } from '../tar/writer.ts';

/** An image and the names that an archive gives it. */
export interface NamedImage {
  readonly image: Image;
  readonly names: readonly string[];
}

export interface ArchiveOptions {
  /** Compress the layers so; default: as they are. */
  readonly compression?: Compression | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What can be in a tar archive as a whole: a document, or a layer's stream. */
interface ArchiveFile {
  readonly name: string;
  readonly size: number;
  readonly bytes?: Buffer | undefined;
  readonly layer?: Layer | undefined;
}

const blobName = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;

const json = (name: string, value: unknown): ArchiveFile => {
  const bytes = Buffer.from(JSON.stringify(value));
  return { name, size: bytes.length, bytes };
};

const indexLines = ({ image, names }: NamedImage): readonly Descriptor[] => {
  const { architecture, os, variant } = image.config;
  const line = {
    mediaType: image.manifest.mediaType ?? OCI_MANIFEST,
    digest: manifestDigest(image),
    size: image.manifestBytes.length,
    platform: variant === undefined ? { architecture, os } : { architecture, os, variant },
  };
  if (names.length === 0) return [line];
  return names.map((name) => {
    const reference = parseReference(name);
    return {
      ...line,
      annotations: { [CONTAINERD_NAME]: formatReference(reference), [REF_NAME]: reference.tag ?? 'latest' },
    };
  });
};

/** The documents first, so that a reader of the stream knows what comes; each blob once. */
const archiveFiles = (images: readonly NamedImage[]): readonly ArchiveFile[] => {
  const index: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: images.flatMap(indexLines) };
  const docker = images.map(({ image, names }) => ({
    Config: blobName(imageId(image)),
    RepoTags: names.map((name) => formatFamiliarReference(parseReference(name))),
    Layers: image.layers.map(({ descriptor }) => blobName(descriptor.digest)),
  }));
  const blobs = images.flatMap(({ image }): readonly ArchiveFile[] => [
    { name: blobName(manifestDigest(image)), size: image.manifestBytes.length, bytes: image.manifestBytes },
    { name: blobName(imageId(image)), size: image.configBytes.length, bytes: image.configBytes },
    ...image.layers.map((layer) => ({ name: blobName(layer.descriptor.digest), size: layer.descriptor.size, layer })),
  ]);
  const first = [
    json('oci-layout', { imageLayoutVersion: '1.0.0' }),
    json('index.json', index),
    json('manifest.json', docker),
  ];
  return [...first, ...new Map(blobs.map((file) => [file.name, file])).values()];
};

const header = (name: string, type: 'file' | 'directory', size: number): Buffer =>
  encodeHeader({ type, name, mode: type === 'file' ? 0o644 : 0o755, uid: 0, gid: 0, size, mtimeNs: 0n });

/** A layer's bytes, checked as they pass: an archive must not be complete and wrong. */
async function* verified(layer: Layer): AsyncGenerator<Buffer, void, void> {
  const { digest, size } = layer.descriptor;
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of layer.open() as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    if (bytes > size) break;
    yield chunk;
  }
  const actual = bytes === size ? `sha256:${hash.digest('hex')}` : `one of ${String(bytes)} bytes`;
  if (actual !== digest)
    throw new ImageError('CONTENT_MISMATCH', `layer ${digest} of ${String(size)} bytes is ${actual}`, { path: digest });
}

async function* archiveBytes(
  images: readonly NamedImage[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, void> {
  const small: Buffer[] = [header('blobs', 'directory', 0), header('blobs/sha256', 'directory', 0)];
  for (const file of archiveFiles(images)) {
    small.push(header(file.name, 'file', file.size));
    if (file.bytes !== undefined) small.push(file.bytes);
    if (file.layer !== undefined) {
      yield Buffer.concat(small.splice(0));
      for await (const chunk of verified(file.layer)) {
        signal?.throwIfAborted();
        yield chunk;
      }
    }
    small.push(padding(file.size));
  }
  yield Buffer.concat([...small, TRAILER]);
}

const compressed = (
  images: readonly NamedImage[],
  { compression, signal }: ArchiveOptions,
): Promise<readonly NamedImage[]> | readonly NamedImage[] =>
  compression === undefined
    ? images
    : Promise.all(
        images.map(async ({ image, names }) => ({
          names,
          image: await recompressImage(image, compression, { signal }),
        })),
      );

/**
 * A tar archive of images that is an OCI layout and a Docker archive at once, as Docker 25 and later write it: docker,
 * podman and skopeo load it. Equal images give equal bytes. Needs no store and no privilege.
 *
 * @throws {@link ImageError} `REFERENCE_INVALID`; and through the stream `CONTENT_MISMATCH` and what the layers throw
 */
export const archiveImages = (images: readonly NamedImage[], options: ArchiveOptions = {}): Readable => {
  options.signal?.throwIfAborted();
  const named = images.map(({ image, names }) => ({ image, names: storeNames(names) }));
  return Readable.from(
    (async function* () {
      yield* archiveBytes(await compressed(named, options), options.signal);
    })(),
    { objectMode: false },
  );
};

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
 * @throws {@link ImageError} through the stream: `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, and as {@link archiveImages}
 */
export const saveArchive = (
  store: ImageStore,
  namesOrIds: readonly string[],
  options: ArchiveOptions = {},
): Readable => {
  options.signal?.throwIfAborted();
  return Readable.from(
    (async function* () {
      await using work = await Workspace.create(store.paths, options.signal);
      const images = merged((await Promise.all(namesOrIds.map((word) => findNamed(store, word)))).flat());
      for (const { image } of images)
        for (const { descriptor } of image.layers) await work.holdBlob(descriptor.digest, options.signal);
      yield* archiveBytes(await compressed(images, options), options.signal);
    })(),
    { objectMode: false },
  );
};
