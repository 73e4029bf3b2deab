import { stat } from 'node:fs/promises';

import type { Descriptor, Platform } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import { isImageError } from '../errors.ts';
import { isImageLine, isIndexArtifact, type Artifact } from '../image/artifact.ts';
import { openRegularFile } from '../image/file-range.ts';
import { imageId, manifestDigest, type Image } from '../image/image.ts';
import { artifactImage, imageMembers, isImageManifest } from '../image/read-artifact.ts';
import { openSource, readLayer, type ByteSource, type LayerLimits } from '../layer/unpack.ts';
import { readLine } from '../layout/layout-lines.ts';
import { lineName } from '../layout/layout-name.ts';
import { isIndexType } from '../media-types.ts';
import { hostPlatform } from '../platform.ts';
import { commit, type NamedEntry } from '../store/commit.ts';
import { Ingest } from '../store/ingest.ts';
import { storeNames, type ImageStore } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { invalidArchive, type ArchiveFiles } from './archive-files.ts';
import { viewArchive, type ArchiveView } from './archive-view.ts';
import { Spool } from './spool.ts';
import { indexTar } from './tar-index.ts';

export interface LoadOptions {
  readonly limits?: Partial<LayerLimits> | undefined;
  /**
   * Which image to take where the archive has one for each of several platforms; default: Linux on this machine, or the
   * only one there is.
   */
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
}

/**
 * Loads the images of an archive that `docker save`, `podman save`, `skopeo copy` or {@link saveArchive} wrote, plain or
 * compressed: Docker's format, old or new, or an OCI layout. All digests are checked before anything becomes visible;
 * then all of its images appear at once.
 *
 * Of an uncompressed file the layers are unpacked in place, several at once; anything else is received into a workspace
 * of the store first.
 *
 * @throws {@link ImageError} as `unpackLayer`, and `ARCHIVE_INVALID`, `IMAGE_INVALID`, `DOCUMENT_INVALID`,
 *   `CONTENT_MISMATCH`, `PLATFORM_NOT_FOUND`
 * @remarks Privilege: root, for the owners and devices of unpacked layers.
 */
export const loadArchive = async (
  store: ImageStore,
  source: ByteSource,
  options: LoadOptions = {},
): Promise<readonly LoadedImage[]> => {
  options.signal?.throwIfAborted();
  if (typeof source === 'string' && (await isFile(source))) {
    const handle = await openRegularFile(source);
    try {
      const files = await indexed(() => indexTar(handle, options));
      if (files !== undefined) {
        await using work = await Workspace.create(store.paths, options.signal);
        return await loadFiles(store, { files, work }, options);
      }
    } finally {
      await handle.close();
    }
  }
  return loadStream(store, source, options);
};

const isFile = async (path: string): Promise<boolean> => (await stat(path)).isFile();

/** The files of an archive; `undefined` of one that must be decompressed first. */
const indexed = async (index: () => Promise<ArchiveFiles>): Promise<ArchiveFiles | undefined> => {
  try {
    return await index();
  } catch (error) {
    if (isImageError(error) && error.code === 'COMPRESSION_UNSUPPORTED') return undefined;
    throw error;
  }
};

const loadStream = async (
  store: ImageStore,
  source: ByteSource,
  options: LoadOptions,
): Promise<readonly LoadedImage[]> => {
  await using work = await Workspace.create(store.paths, options.signal);
  using spool = new Spool(work.path('spool'));
  await readLayer(openSource(source), spool, options);
  return await loadFiles(store, { files: spool.files, paths: spool.paths, work }, options);
};

interface Received {
  readonly files: ArchiveFiles;
  readonly work: Workspace;
  /** Files that may be taken for blobs as they are, in a workspace of the store. */
  readonly paths?: ReadonlyMap<Digest, string> | undefined;
}

const loadFiles = async (
  store: ImageStore,
  { files, work, paths }: Received,
  options: LoadOptions,
): Promise<readonly LoadedImage[]> => {
  const { signal } = options;
  const archived = await readImages(await viewArchive(files, { where: 'the archive', signal }), options);
  const ingest = new Ingest(store.paths, work, options);
  const images: NamedEntry[] = [];
  for (const { image, names } of archived) {
    for (const { descriptor } of image.layers) {
      const file = paths?.get(descriptor.digest);
      if (file !== undefined) ingest.adopt(descriptor.digest, file);
    }
    images.push({ entry: await ingest.image(image), names });
  }
  await commit(store.paths, ingest.staged, { images, signal });
  return archived.map(({ image, names }) => ({ id: imageId(image), names }));
};

/** A name of an image in a layout. A bare tag, as Docker writes it beside containerd's name, says nothing. */
const namesIn = (line: Descriptor): readonly string[] => {
  const name = lineName(line) ?? '';
  return /[:/]/.test(name) ? storeNames([name]) : [];
};

/** What the lines mean here, each image once, with all its names; what is no image is left. */
const readImages = async (view: ArchiveView, options: LoadOptions): Promise<readonly ArchivedImage[]> => {
  const images = new Map<Digest, ArchivedImage>();
  for (const line of view.lines.filter((each) => isIndexType(each.mediaType) || isImageLine(each))) {
    const image = await pickImage(await readLine(view, line, { signal: options.signal }), options);
    if (image === undefined) continue;
    for (const { descriptor } of image.layers) view.check(descriptor);
    const known = images.get(manifestDigest(image))?.names ?? [];
    images.set(manifestDigest(image), { image, names: [...new Set([...known, ...namesIn(line)])] });
  }
  if (images.size === 0) throw invalidArchive('its index lists no image');
  return [...images.values()];
};

/** The image in an artifact; `undefined` when there is none, but charts or signatures. */
const pickImage = async (artifact: Artifact, { platform, signal }: LoadOptions): Promise<Image | undefined> => {
  if (!isIndexArtifact(artifact))
    return isImageManifest(artifact) ? artifactImage(artifact, { platform, signal }) : undefined;
  const [only, ...others] = await imageMembers(artifact, { signal });
  if (only === undefined) return undefined;
  if (platform === undefined && others.length === 0) return artifactImage(only.artifact, { signal });
  return artifactImage(artifact, { platform: platform ?? hostPlatform(), signal });
};
