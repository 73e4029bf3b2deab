import { randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Descriptor } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import { asString, parseDocument, requiredMember } from '../document.ts';
import { ImageError, isImageError, quote } from '../errors.ts';
import { artifactBlobs, artifactDocuments, asArtifact, type Artifact } from '../image/artifact.ts';
import { blobFromBytes, type OpenOptions } from '../image/blob.ts';
import { openRegularFile } from '../image/file-range.ts';
import type { Image } from '../image/image.ts';
import { artifactImage, readArtifact, type ReadArtifactOptions } from '../image/read-artifact.ts';
import { isIndexType, isManifestType } from '../media-types.ts';
import { hostPlatform } from '../platform.ts';
import { mapBounded } from '../store/bounded.ts';
import { EMPTY_LAYOUT_INDEX, INDEX_MAX_BYTES, parseIndexDocument, type IndexDocument } from './index-document.ts';
import { isMissing, LayoutBlobs, readBounded } from './layout-blobs.ts';
import { entryOf, findArtifact, type LayoutEntry, type LayoutView } from './layout-lines.ts';
import { isNamed, nameAnnotations, withoutName } from './layout-name.ts';
import { withLockFile } from './lock-file.ts';

export interface LayoutOptions {
  /** Make the layout when there is none. */
  readonly create?: boolean | undefined;
}

const VERSION = '1.0.0';
/** A source may be far away. */
const PARALLEL_BLOBS = 3;
const GRACE_MS = 60 * 60 * 1000;

const invalid = (dir: string, why: string, cause?: unknown): ImageError =>
  new ImageError('LAYOUT_INVALID', `${quote(dir)} is no image layout: ${why}`, { path: dir, cause });

/** An OCI image layout directory, ours or another tool's; see {@link openImageLayout}. Holds nothing open. */
export class ImageLayout {
  readonly dir: string;
  readonly #blobs: LayoutBlobs;

  constructor(dir: string) {
    this.dir = dir;
    this.#blobs = new LayoutBlobs(dir);
  }

  /** Everything in the index, in its order. */
  async entries(): Promise<readonly LayoutEntry[]> {
    return (await this.#index()).lines.map(entryOf);
  }

  /**
   * What a name or a digest means. A name is matched as it is written in the layout, or as the same reference in another
   * form; `undefined` is the only entry. Documents are read and verified now, blobs when they are opened: unverified, as
   * those of any source.
   *
   * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `PLATFORM_NOT_FOUND`, `DOCUMENT_INVALID`,
   *   `CONTENT_MISMATCH`, `LAYOUT_INVALID`
   */
  async artifact(which?: string, options: ReadArtifactOptions = {}): Promise<Artifact> {
    options.signal?.throwIfAborted();
    return findArtifact(await this.#view(), which, options);
  }

  /**
   * The image that a name or a digest means; of an index, the one for a platform, by default Linux on this machine.
   *
   * @throws {@link ImageError} as {@link artifact}, and `IMAGE_INVALID`: it is no image
   */
  async image(which?: string, options: ReadArtifactOptions = {}): Promise<Image> {
    const platform = options.platform ?? hostPlatform();
    const artifact = await this.artifact(which, { platform, signal: options.signal });
    return artifactImage(artifact, options);
  }

  /**
   * Stores an image or artifact with all its members and blobs, and gives it a name, which another one loses. Nothing is
   * named before all of it is stored and verified; what is stored already isn't written again.
   *
   * @param name - a tag or a whole reference; `undefined`: none
   * @returns the new line of the index
   * @throws {@link ImageError} `REFERENCE_INVALID`, `CONTENT_MISMATCH`, and what the blobs throw
   */
  async write(name: string | undefined, value: Image | Artifact, options: OpenOptions = {}): Promise<LayoutEntry> {
    const names = name === undefined ? {} : nameAnnotations(name);
    const artifact = asArtifact(value);
    await mapBounded(artifactBlobs(artifact), { limit: PARALLEL_BLOBS, signal: options.signal }, (blob, signal) =>
      this.#blobs.write(blob, { signal }),
    );
    for (const { descriptor, bytes } of artifactDocuments(artifact))
      await this.#blobs.write({ ...blobFromBytes(bytes, descriptor.mediaType), descriptor }, options);
    const unnamed = withoutName(artifact.descriptor);
    const annotations = { ...unnamed.annotations, ...names };
    const line = Object.keys(annotations).length === 0 ? unnamed : { ...unnamed, annotations };
    await this.#change(options, ({ lines }) => {
      const isSame = (each: Descriptor): boolean =>
        name === undefined ? each.digest === line.digest : isNamed(each, name);
      const others = lines.filter((each) => !isSame(each));
      return name === undefined && others.length < lines.length ? lines : [...others, line];
    });
    return entryOf(line);
  }

  /**
   * Takes a name or a digest out of the index. The content stays until {@link prune}.
   *
   * @throws {@link ImageError} `IMAGE_NOT_FOUND`
   */
  async remove(nameOrDigest: string, options: OpenOptions = {}): Promise<void> {
    await this.#change(options, ({ lines }) => {
      const after = lines.filter((line) => line.digest !== nameOrDigest && !isNamed(line, nameOrDigest));
      if (after.length < lines.length) return after;
      throw new ImageError('IMAGE_NOT_FOUND', `no such image: ${quote(nameOrDigest)} in ${this.dir}`, {
        path: nameOrDigest,
      });
    });
  }

  /**
   * Removes content that the index doesn't lead to.
   *
   * @param options - `graceMs`: what was written or wanted since then stays, for somebody may be about to name it;
   *   default an hour
   * @returns the blobs that went
   * @throws {@link ImageError} `DOCUMENT_INVALID`, `CONTENT_MISMATCH`: better garbage than loss
   */
  async prune({ graceMs = GRACE_MS, signal }: OpenOptions & { readonly graceMs?: number | undefined } = {}): Promise<
    readonly Digest[]
  > {
    signal?.throwIfAborted();
    const before = new Date(Date.now() - graceMs);
    const view = await this.#view();
    const kept = new Set<Digest>();
    for (const line of view.lines) {
      kept.add(line.digest);
      const bytes = isDocument(line) ? await view.document(line, { signal }) : undefined;
      if (bytes === undefined) continue;
      const artifact = await readArtifact({ descriptor: line, bytes }, view, { signal });
      for (const { descriptor } of [...artifactDocuments(artifact), ...artifactBlobs(artifact)])
        kept.add(descriptor.digest);
    }
    return this.#blobs.removeOthers(kept, before);
  }

  async #view(): Promise<LayoutView> {
    const { lines } = await this.#index();
    return {
      where: this.dir,
      lines,
      missing: (digest) => this.#blobs.missing(digest),
      document: (descriptor) => this.#blobs.document(descriptor),
      blob: (descriptor) => this.#blobs.blob(descriptor),
    };
  }

  async #index(): Promise<IndexDocument> {
    const bytes = await readLayoutFile(this.dir, 'index.json', INDEX_MAX_BYTES);
    try {
      return parseIndexDocument(bytes, join(this.dir, 'index.json'));
    } catch (error) {
      if (!isImageError(error)) throw error;
      throw invalid(this.dir, error.message, error);
    }
  }

  async #change({ signal }: OpenOptions, change: (index: IndexDocument) => readonly Descriptor[]): Promise<void> {
    const file = join(this.dir, 'index.json');
    for (let isDone = false; !isDone;) {
      isDone = await withLockFile(`${file}.lock`, signal, async ({ isHeld }) => {
        const index = await this.#index();
        const beside = await writeBeside(file, index.withLines(change(index)));
        try {
          if (!(await isHeld())) return false;
          await rename(beside, file);
          return true;
        } finally {
          await rm(beside, { force: true });
        }
      });
    }
  }
}

const isDocument = ({ mediaType }: Descriptor): boolean => isManifestType(mediaType) || isIndexType(mediaType);

const writeBeside = async (file: string, text: string): Promise<string> => {
  const beside = `${file}.${randomUUID()}`;
  const handle = await open(beside, 'wx');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return beside;
};

const readLayoutFile = async (dir: string, name: string, maxBytes: number): Promise<Buffer> => {
  const file = join(dir, name);
  try {
    const handle = await openRegularFile(file, 'LAYOUT_INVALID');
    try {
      return await readBounded(handle, { file, maxBytes });
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!isMissing(error) && !isImageError(error)) throw error;
    throw invalid(dir, isMissing(error) ? `it has no ${name}` : (error as Error).message, error);
  }
};

const checkVersion = async (dir: string): Promise<void> => {
  const bytes = await readLayoutFile(dir, 'oci-layout', 4096);
  let version: string;
  try {
    version = asString(requiredMember(parseDocument(bytes, 'oci-layout'), 'imageLayoutVersion'));
  } catch (error) {
    throw invalid(dir, (error as Error).message, error);
  }
  if (version !== VERSION) throw invalid(dir, `its version is ${quote(version)}, not ${VERSION}`);
};

/** Makes a layout where there is none; each file comes whole, and `oci-layout` last: its presence says that all is there. */
const makeLayout = async (dir: string): Promise<void> => {
  await new LayoutBlobs(dir).make();
  const isThere = (name: string): Promise<boolean> =>
    stat(join(dir, name)).then(
      () => true,
      () => false,
    );
  if (await isThere('oci-layout')) return;
  await withLockFile(join(dir, 'index.json.lock'), undefined, async () => {
    const files = { 'index.json': EMPTY_LAYOUT_INDEX, 'oci-layout': JSON.stringify({ imageLayoutVersion: VERSION }) };
    for (const [name, text] of Object.entries(files)) {
      if (!(await isThere(name))) await rename(await writeBeside(join(dir, name), text), join(dir, name));
    }
  });
};

/**
 * Opens an OCI image layout: what `skopeo copy … oci:dir`, `umoci`, `podman save --format oci-dir` and BuildKit write and
 * read. Any operating system, no privilege. Processes that write through this package take turns at `index.json`, by a
 * file `index.json.lock`; other tools don't look at it, so let them write at another time.
 *
 * @throws {@link ImageError} `LAYOUT_INVALID`: it is none, or one of another version
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export const openImageLayout = async (dir: string, { create = false }: LayoutOptions = {}): Promise<ImageLayout> => {
  if (create) await makeLayout(dir);
  await checkVersion(dir);
  return new ImageLayout(dir);
};
