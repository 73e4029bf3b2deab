import { createReadStream } from 'node:fs';

import { goArchitecture, type Descriptor, type Platform } from '../descriptor.ts';
import { digestHex, type Digest } from '../digest.ts';
import { asList, asString, optional, parseDocument, requiredMember } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import { parseImageConfig } from '../image-config.ts';
import { composeImage, imageId, readImage, type Image, type Layer } from '../image/image.ts';
import { detectCompression, layerMediaType } from '../layer/compression.ts';
import { readLayer, type LayerLimits } from '../layer/unpack.ts';
import { parseIndex, parseManifest } from '../manifest.ts';
import { isIndexType, isManifestType } from '../media-types.ts';
import { commit, type NamedEntry } from '../store/commit.ts';
import { REF_NAME } from '../store/index-file.ts';
import { Ingest } from '../store/ingest.ts';
import { storeNames, type ImageStore } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { openSource, type ByteSource } from './import.ts';
import { readHead, Spool, type SpooledFile } from './spool.ts';

export interface LoadOptions {
  readonly limits?: Partial<LayerLimits> | undefined;
  /** Which image to take where the archive has one for each of several platforms; default: Linux on this machine. */
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LoadedImage {
  readonly id: Digest;
  /** Full references; empty when the archive gives none. */
  readonly names: readonly string[];
}

interface ArchivedImage {
  readonly image: Image;
  readonly names: readonly string[];
  readonly files: ReadonlyMap<Digest, string>;
}

/** containerd's annotation for a full name, where `ref.name` has a tag only. */
export const CONTAINERD_NAME = 'io.containerd.image.name';

const invalid = (why: string): ImageError => new ImageError('ARCHIVE_INVALID', `invalid image archive: ${why}`);

/**
 * Loads the images of an archive that `docker save`, `podman save`, `skopeo copy` or {@link saveArchive} wrote, plain or
 * compressed: Docker's format, old or new, or an OCI layout. All digests are checked before anything becomes visible;
 * then all of its images appear at once.
 *
 * @throws {@link ImageError} as `unpackLayer`, and `ARCHIVE_INVALID`, `IMAGE_INVALID`, `DOCUMENT_INVALID`,
 *   `CONTENT_MISMATCH`
 * @remarks Privilege: root, for the owners and devices of unpacked layers.
 */
export const loadArchive = async (
  store: ImageStore,
  source: ByteSource,
  options: LoadOptions = {},
): Promise<readonly LoadedImage[]> => {
  await using work = await Workspace.create(store.paths, options.signal);
  using spool = new Spool(work.path('spool'));
  await readLayer(openSource(source), spool, options);
  const archived = readArchive(spool, options.platform ?? { os: 'linux', architecture: goArchitecture(process.arch) });
  const ingest = new Ingest(store.paths, work, options);
  const images: NamedEntry[] = [];
  for (const { image, names, files } of archived) {
    for (const [digest, file] of files) ingest.adopt(digest, file);
    images.push({ entry: await ingest.image(image), names });
  }
  await commit(store.paths, ingest.staged, { images, signal: options.signal });
  return archived.map(({ image, names }) => ({ id: imageId(image), names }));
};

const readArchive = (spool: Spool, platform: Platform): readonly ArchivedImage[] => {
  const tags = spool.has('manifest.json') ? readTags(spool) : [];
  if (spool.has('oci-layout') && spool.has('index.json')) return readLayout(spool, { platform, tags });
  if (spool.has('manifest.json')) return tags.map((tagged) => readDocker(spool, tagged));
  throw invalid(
    'it has neither manifest.json nor an OCI layout; the archive of a root filesystem is imported, not loaded',
  );
};

interface Tagged {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

/** Docker's `manifest.json`. */
const readTags = (spool: Spool): readonly Tagged[] =>
  asList(parseDocument(spool.read('manifest.json'), 'manifest.json'), (node) => ({
    config: asString(requiredMember(node, 'Config')),
    layers: optional(node, 'Layers', (layers) => asList(layers, asString)) ?? [],
    names: storeNames(optional(node, 'RepoTags', (names) => asList(names, asString)) ?? []),
  }));

const layerOf = ({ file }: SpooledFile, descriptor: Descriptor, diffId: Digest): Layer => ({
  descriptor,
  diffId,
  open: () => createReadStream(file),
});

const readDocker = (spool: Spool, { config, layers, names }: Tagged): ArchivedImage => {
  const configBytes = spool.read(config);
  const diffIds = parseImageConfig(configBytes, config).rootfs.diff_ids;
  const spooled = layers.map((name) => spool.get(name));
  const image = composeImage(
    configBytes,
    spooled.map((blob, i) => {
      const mediaType = layerMediaType(detectCompression(readHead(blob.file, 6)));
      return layerOf(blob, { mediaType, digest: blob.digest, size: blob.size }, diffIds[i] ?? blob.digest);
    }),
  );
  return { image, names, files: new Map(spooled.map(({ digest, file }) => [digest, file])) };
};

const blob = (spool: Spool, { digest, size }: Descriptor): SpooledFile => {
  const found = spool.get(`blobs/sha256/${digestHex(digest)}`);
  if (found.digest === digest && found.size === size) return found;
  throw new ImageError(
    'CONTENT_MISMATCH',
    `blob ${digest} of ${String(size)} bytes is ${found.digest} of ${String(found.size)}`,
    { path: digest },
  );
};

const document = (spool: Spool, descriptor: Descriptor): Buffer => {
  blob(spool, descriptor);
  return spool.read(`blobs/sha256/${digestHex(descriptor.digest)}`);
};

/** A name of an image in a layout. A bare tag, as Docker writes it beside containerd's name, says nothing. */
const namesIn = ({ annotations = {} }: Descriptor): readonly string[] => {
  const name = annotations[CONTAINERD_NAME] ?? annotations[REF_NAME] ?? '';
  return /[:/]/.test(name) ? storeNames([name]) : [];
};

const readLayout = (
  spool: Spool,
  options: { readonly platform: Platform; readonly tags: readonly Tagged[] },
): readonly ArchivedImage[] => {
  const images = new Map<Digest, ArchivedImage>();
  for (const line of parseIndex(spool.read('index.json'), 'index.json').manifests) {
    const descriptor = pickManifest(spool, line, options.platform);
    if (descriptor === undefined) continue;
    const read = images.get(descriptor.digest) ?? readOci(spool, descriptor, options.tags);
    images.set(descriptor.digest, { ...read, names: [...new Set([...read.names, ...namesIn(line)])] });
  }
  if (images.size === 0) throw invalid('its index lists no image');
  return [...images.values()];
};

const readOci = (spool: Spool, descriptor: Descriptor, tags: readonly Tagged[]): ArchivedImage => {
  const manifestBytes = document(spool, descriptor);
  const manifest = parseManifest(manifestBytes, descriptor.digest);
  const configBytes = document(spool, manifest.config);
  const diffIds = parseImageConfig(configBytes, manifest.config.digest).rootfs.diff_ids;
  const spooled = manifest.layers.map((layer) => blob(spool, layer));
  const layers = manifest.layers.map((layer, i) =>
    layerOf(spooled[i] as SpooledFile, layer, diffIds[i] ?? layer.digest),
  );
  const names = tags
    .filter(({ config }) => spool.get(config).digest === manifest.config.digest)
    .flatMap((tagged) => tagged.names);
  return {
    image: readImage(manifestBytes, configBytes, layers),
    names,
    files: new Map(spooled.map(({ digest, file }) => [digest, file])),
  };
};

/** Signatures and attestations are listed like images, for no platform. */
const isImage = ({ mediaType, platform, artifactType }: Descriptor): boolean =>
  isManifestType(mediaType) && artifactType === undefined && platform?.os !== 'unknown';

/** The image that a line of the index means on this platform; an index is followed one level. */
const pickManifest = (spool: Spool, line: Descriptor, wanted: Platform): Descriptor | undefined => {
  if (!isIndexType(line.mediaType)) return isImage(line) ? line : undefined;
  const present = parseIndex(document(spool, line), line.digest).manifests.filter(
    (descriptor) => isImage(descriptor) && spool.has(`blobs/sha256/${digestHex(descriptor.digest)}`),
  );
  const fits = ({ platform }: Descriptor): boolean =>
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || platform.variant === wanted.variant);
  const found = present.find(fits) ?? (present.length === 1 ? present[0] : undefined);
  if (found !== undefined) return found;
  throw invalid(`index ${quote(line.digest)} has no image for ${wanted.os}/${wanted.architecture}`);
};
