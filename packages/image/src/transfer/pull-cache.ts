import { createReadStream, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';

import type { Descriptor, Platform } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import { asString, optional, parseDocument } from '../document.ts';
import { isImageError } from '../errors.ts';
import { isImageLine } from '../image/artifact.ts';
import { stopOnAbort, type Blob, type OpenOptions } from '../image/blob.ts';
import type { ArtifactSource } from '../image/read-artifact.ts';
import { parseImageConfig } from '../image-config.ts';
import { parseIndex } from '../manifest.ts';
import { isIndexType, isManifestType } from '../media-types.ts';
import { hostPlatform, matchDescriptor, matchPlatform } from '../platform.ts';
import { formatReference, type Reference } from '../reference.ts';
import type { Repository } from '../registry/repository.ts';
import { readEntries, readStoreIndex, type IndexEntry } from '../store/index-file.ts';
import { blobFile, type StorePaths } from '../store/paths.ts';
import type { Workspace } from '../store/workspace.ts';

/** What a pull needs of a repository. */
export type PullRepository = Pick<Repository, 'resolve' | 'manifest' | 'openBlob' | 'blob'>;

/** Documents and blobs of a repository, from the store where it has them. What it gives from there stays meanwhile. */
export class PullCache implements ArtifactSource {
  readonly #paths: StorePaths;
  readonly #work: Workspace;
  readonly #repository: PullRepository;

  constructor(paths: StorePaths, work: Workspace, repository: PullRepository) {
    this.#paths = paths;
    this.#work = work;
    this.#repository = repository;
  }

  async document({ digest }: Pick<Descriptor, 'digest'>, { signal }: OpenOptions): Promise<Buffer> {
    if (await this.#work.holdBlob(digest, signal)) return readFileSync(blobFile(this.#paths, digest));
    return (await this.#repository.manifest(digest, { signal })).bytes;
  }

  /** A document of the store, with its descriptor. */
  async stored(
    digest: Digest,
    { signal }: OpenOptions,
  ): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer } | undefined> {
    if (!(await this.#work.holdBlob(digest, signal))) return undefined;
    const bytes = readFileSync(blobFile(this.#paths, digest));
    const mediaType = typeOf(bytes, digest);
    return mediaType === undefined ? undefined : { descriptor: { mediaType, digest, size: bytes.length }, bytes };
  }

  blob(descriptor: Descriptor): Blob {
    const open = async function* (this: PullCache, options: OpenOptions): AsyncGenerator<Buffer, void, void> {
      const stored = await this.#work.holdBlob(descriptor.digest, options.signal);
      const file = blobFile(this.#paths, descriptor.digest);
      yield* (
        stored ? createReadStream(file) : this.#repository.blob(descriptor).open(options)
      ) as AsyncIterable<Buffer>;
    };
    return {
      descriptor,
      open: (options = {}) =>
        stopOnAbort(Readable.from(open.call(this, options), { objectMode: false }), options.signal),
    };
  }
}

/** What a manifest or index says it is; some don't. */
const typeOf = (bytes: Buffer, where: string): string | undefined => {
  try {
    const said = optional(parseDocument(bytes, where), 'mediaType', asString) ?? '';
    return isIndexType(said) || isManifestType(said) ? said : undefined;
  } catch (error) {
    if (isImageError(error)) return undefined;
    throw error;
  }
};

/** What the store knows of a name that is to be pulled. */
export interface Known {
  /** Images that the name stands for, or stood for when it has a digest. */
  readonly entries: readonly IndexEntry[];
  /** What the repository is called where digests are recorded: `docker.io/library/debian`. */
  readonly repository: string;
}

export const findKnown = (paths: StorePaths, reference: Reference): Known => {
  const repository = `${reference.domain}/${reference.path}`;
  const [name, prefix] = [formatReference(reference), `${repository}@`];
  const entries = readEntries(readStoreIndex(paths)).filter((entry) =>
    reference.digest === undefined
      ? entry.name === name && entry.repoDigests.some((each) => each.startsWith(prefix))
      : entry.repoDigests.includes(`${prefix}${reference.digest}`),
  );
  return { entries, repository };
};

/** The stored image that is what the repository has under a digest, for a platform, if there is one. */
export const findCurrent = (
  paths: StorePaths,
  { entries, repository }: Known,
  { digest, platform }: { readonly digest: Digest; readonly platform: Platform | undefined },
): IndexEntry | undefined => {
  const same = entries.filter(({ repoDigests }) => repoDigests.includes(`${repository}@${digest}`));
  const lines = readLines(paths, digest);
  if (lines !== undefined) {
    const member = matchDescriptor(platform ?? hostPlatform(), lines.filter(isImageLine));
    return same.find(({ descriptor }) => descriptor.digest === member?.digest);
  }
  return same.find(({ id }) => {
    if (platform === undefined) return true;
    return matchPlatform(platform, [parseImageConfig(readFileSync(blobFile(paths, id)), id)]) !== undefined;
  });
};

/** The lines of an index that was kept from an earlier pull. */
const readLines = (paths: StorePaths, digest: Digest): readonly Descriptor[] | undefined => {
  try {
    return parseIndex(readFileSync(blobFile(paths, digest)), digest).manifests;
  } catch {
    // It is a manifest, or not here: then there is nothing to choose from.
    return undefined;
  }
};
