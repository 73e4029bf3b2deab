import type { FileHandle } from 'node:fs/promises';

import type { Artifact } from '../image/artifact.ts';
import type { OpenOptions } from '../image/blob.ts';
import { openRegularFile } from '../image/file-range.ts';
import type { Image } from '../image/image.ts';
import { artifactImage, type ReadArtifactOptions } from '../image/read-artifact.ts';
import type { LayerLimits } from '../layer/unpack.ts';
import { entryOf, findArtifact, type LayoutEntry } from '../layout/layout-lines.ts';
import { hostPlatform } from '../platform.ts';
import { viewArchive, type ArchiveView } from './archive-view.ts';
import { indexTar } from './tar-index.ts';

export interface OpenArchiveOptions extends OpenOptions {
  readonly limits?: Partial<LayerLimits> | undefined;
}

/** Images in a tar file; see {@link openImageArchive}. Keeps the file open until it is disposed of. */
export class ImageArchive implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #view: ArchiveView;

  constructor(handle: FileHandle, view: ArchiveView) {
    this.#handle = handle;
    this.#view = view;
  }

  /** Every image of the archive under each of its names. */
  entries(): readonly LayoutEntry[] {
    return this.#view.lines.map(entryOf);
  }

  /**
   * What a name or a digest means; `undefined` is the only entry. Blobs are read from the file when they are opened.
   *
   * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `PLATFORM_NOT_FOUND`, `DOCUMENT_INVALID`,
   *   `CONTENT_MISMATCH`, `ARCHIVE_INVALID`
   */
  async artifact(which?: string, options: ReadArtifactOptions = {}): Promise<Artifact> {
    options.signal?.throwIfAborted();
    return findArtifact(this.#view, which, options);
  }

  /**
   * The image that a name or a digest means; of an index, the one for a platform, by default Linux on this machine.
   *
   * @throws {@link ImageError} as {@link artifact}, and `IMAGE_INVALID`: it is no image
   */
  async image(which?: string, options: ReadArtifactOptions = {}): Promise<Image> {
    const platform = options.platform ?? hostPlatform();
    const image = await artifactImage(await this.artifact(which, { platform, signal: options.signal }), options);
    for (const { descriptor } of image.layers) this.#view.check(descriptor);
    return image;
  }

  /** Closes the file: streams of its blobs fail from now on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * Opens an archive that `docker save`, `podman save`, `skopeo copy` or `archiveImages` wrote, in Docker's format, old or
 * new, or OCI's. Only its headers and documents are read, and nothing is extracted: needs no room and no privilege. It
 * must be an uncompressed file.
 *
 * @throws {@link ImageError} `ARCHIVE_INVALID`, `COMPRESSION_UNSUPPORTED`, `LAYER_INVALID` it is no tar archive,
 *   `LAYER_LIMIT`, `DOCUMENT_INVALID`, `IMAGE_INVALID`
 */
export const openImageArchive = async (file: string, options: OpenArchiveOptions = {}): Promise<ImageArchive> => {
  options.signal?.throwIfAborted();
  const handle = await openRegularFile(file, 'ARCHIVE_INVALID');
  try {
    const files = await indexTar(handle, options);
    return new ImageArchive(handle, await viewArchive(files, { where: file, signal: options.signal }));
  } catch (error) {
    await handle.close();
    throw error;
  }
};
