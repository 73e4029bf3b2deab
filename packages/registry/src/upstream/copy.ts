import { artifactDocuments, isImageError } from '@tsc/image';
import type { Artifact, Descriptor, Repository } from '@tsc/image';

import type { Digest } from '../names.ts';
import { compilePatterns } from '../patterns.ts';
import { repositoryDestination } from './destination.ts';
import type { Destination } from './destination.ts';
import { describedBy, isIndex, isManifest, storedOf } from './documents.ts';
import type { CopyEvent, CopyFailure, CopyReport, Selection } from './options.ts';
import { isForeign, selectMembers, selectPlatforms } from './selection.ts';

/** How many blobs are on their way at once. */
const AT_ONCE = 4;
/** A signature of an SBOM of an image is as deep as it gets. */
const DEPTH_MAX = 3;
/** Under which tags cosign keeps signatures, attestations and SBOMs where it doesn't use referrers. */
const COSIGN = ['.sig', '.att', '.sbom'];

export interface CopyOptions extends Selection {
  readonly signal?: AbortSignal | undefined;
}

type Digest256 = `sha256:${string}`;

/** One copy with what it has done so far. */
export class Copy {
  readonly #source: Repository;
  readonly #destination: Destination;
  readonly #options: CopyOptions;
  /** Manifests whose referrers were seen to. */
  readonly #seen = new Set<Digest>();
  readonly #copied: string[] = [];
  readonly #unchanged: string[] = [];
  readonly #removed: string[] = [];
  readonly #failures: CopyFailure[] = [];
  #manifests = 0;
  #blobs = 0;
  #blobBytes = 0;
  /** The source's tags, once they had to be listed. */
  #tags: ReadonlySet<string> | undefined;

  constructor(source: Repository, destination: Destination, options: CopyOptions) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
  }

  report(): CopyReport {
    return {
      copiedTags: this.#copied,
      unchangedTags: this.#unchanged,
      removedTags: this.#removed,
      failures: this.#failures,
      manifests: this.#manifests,
      blobs: this.#blobs,
      blobBytes: this.#blobBytes,
    };
  }

  /** Copies every tag that is wanted. What fails is left out, and reported. */
  async *tags(): AsyncGenerator<CopyEvent, void, void> {
    const { deleteExtra = false, signal } = this.#options;
    const wanted = await this.#wantedTags();
    for (const tag of wanted) {
      signal?.throwIfAborted();
      try {
        yield* this.one(tag, tag);
      } catch (cause) {
        signal?.throwIfAborted();
        this.#failures.push({ tag, cause });
        yield { type: 'failure', tag, cause };
      }
    }
    if (deleteExtra) yield* this.#removeExtra();
  }

  /** Copies what a tag or digest means, under a tag or none. */
  async *one(from: string, tag: string | undefined): AsyncGenerator<CopyEvent, void, void> {
    const { signal, platforms, referrers = true } = this.#options;
    const { digest } = await this.#source.resolve(from, { signal });
    const present = tag === undefined ? undefined : await this.#destination.resolveTag(tag, { signal });
    const isUnchanged = present === digest && (await this.#hasMembers(digest));
    if (!isUnchanged) {
      const artifact = await this.#source.artifact(digest, { signal });
      yield* this.#artifact(selectPlatforms(artifact, platforms), tag);
    }
    if (referrers) yield* this.#attached(digest);
    if (tag === undefined) return;
    (isUnchanged ? this.#unchanged : this.#copied).push(tag);
    yield { type: 'tag', tag, status: isUnchanged ? 'unchanged' : 'copied' };
  }

  /** An index may have been copied for other platforms. */
  async #hasMembers(digest: Digest256): Promise<boolean> {
    const { signal, platforms } = this.#options;
    for (const member of selectMembers(await this.#membersOf(digest), platforms))
      if ((await this.#destination.readManifest(member.digest, { signal })) === undefined) return false;
    return true;
  }

  /** Those that the destination's copy of an index names. */
  async #membersOf(digest: Digest256): Promise<readonly Descriptor[]> {
    const index = await this.#destination.readManifest(digest, this.#options);
    if (index === undefined || !isIndex(index.descriptor.mediaType)) return [];
    return describedBy(storedOf(index)).filter(({ mediaType }) => isIndex(mediaType) || isManifest(mediaType));
  }

  async #wantedTags(): Promise<readonly string[]> {
    const { tags: patterns = ['*'], deleteExtra = false, signal } = this.#options;
    if (!deleteExtra && patterns.every((pattern) => !pattern.includes('*'))) return [...new Set(patterns)];
    const all = new Set<string>();
    for await (const tag of this.#source.tags({ signal })) all.add(tag);
    this.#tags = all;
    return [...all].filter(compilePatterns(patterns));
  }

  /** A source that has nothing any more is taken for one that is broken: then nothing is removed. */
  async *#removeExtra(): AsyncGenerator<CopyEvent, void, void> {
    const { tags: patterns = ['*'], signal } = this.#options;
    const isWanted = compilePatterns(patterns);
    const kept = this.#tags ?? new Set<string>();
    if (kept.size === 0) return;
    const extra: string[] = [];
    for await (const tag of this.#destination.tags({ signal })) if (isWanted(tag) && !kept.has(tag)) extra.push(tag);
    for (const tag of extra) {
      await this.#destination.deleteTag(tag, { signal });
      this.#removed.push(tag);
      yield { type: 'tag', tag, status: 'removed' };
    }
  }

  /** Blobs, then the members of an index, then the document itself: nothing ever names what isn't there. */
  async *#artifact(artifact: Artifact, tag: string | undefined): AsyncGenerator<CopyEvent, void, void> {
    const { signal } = this.#options;
    for (const document of artifactDocuments(artifact)) {
      const { digest, mediaType } = document.descriptor;
      const isRoot = digest === artifact.descriptor.digest;
      const isThere = (await this.#destination.readManifest(digest, { signal })) !== undefined;
      if (!isThere || !this.#destination.isWhole) yield* this.#sendBlobs(document);
      if (isThere && !(isRoot && tag !== undefined)) continue;
      await this.#destination.putManifest(document, isRoot ? tag : undefined, { signal });
      if (isThere) continue;
      this.#manifests += 1;
      yield { type: 'manifest', digest, mediaType };
    }
  }

  async *#sendBlobs({ blobs }: Artifact): AsyncGenerator<CopyEvent, void, void> {
    const failed = new AbortController();
    const { signal } = this.#options;
    const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    const rest = blobs.filter(({ descriptor }) => !isForeign(descriptor.mediaType)).values();
    const sent: CopyEvent[] = [];
    const work = async (): Promise<void> => {
      for (const blob of rest) {
        if (!(await this.#destination.putBlob(blob, { signal: either }))) continue;
        const { digest, size } = blob.descriptor;
        this.#blobs += 1;
        this.#blobBytes += size;
        sent.push({ type: 'blob', digest, sizeBytes: size });
      }
    };
    const works = Array.from({ length: AT_ONCE }, work);
    try {
      await Promise.all(works);
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(works);
      throw error;
    }
    yield* sent;
  }

  /** Copies what refers to a manifest of ours, or to a member of it. */
  async *#attached(digest: Digest256): AsyncGenerator<CopyEvent, void, void> {
    const { signal } = this.#options;
    const members = await this.#membersOf(digest);
    for (const subject of [digest, ...members.map((member) => member.digest)]) {
      // Members that were left out have nothing attached here either.
      const isHere = subject === digest || (await this.#destination.readManifest(subject, { signal })) !== undefined;
      if (isHere) yield* this.#attachedTo(subject, DEPTH_MAX);
    }
  }

  async *#attachedTo(subject: Digest256, depth: number): AsyncGenerator<CopyEvent, void, void> {
    const { signal } = this.#options;
    if (depth === 0 || this.#seen.has(subject)) return;
    this.#seen.add(subject);
    for (const { digest } of (await this.#source.referrers(subject, { signal })).manifests) {
      if ((await this.#destination.readManifest(digest, { signal })) === undefined)
        yield* this.#artifact(await this.#source.artifact(digest, { signal }), undefined);
      yield* this.#attachedTo(digest, depth - 1);
    }
    for (const suffix of COSIGN) yield* this.#cosignTag(`${subject.replace(':', '-')}${suffix}`);
  }

  async *#cosignTag(tag: string): AsyncGenerator<CopyEvent, void, void> {
    const { signal } = this.#options;
    if (this.#tags !== undefined && !this.#tags.has(tag)) return;
    try {
      const { digest } = await this.#source.resolve(tag, { signal });
      if ((await this.#destination.resolveTag(tag, { signal })) === digest) return;
      yield* this.#artifact(await this.#source.artifact(digest, { signal }), tag);
    } catch (error) {
      if (!isImageError(error) || error.code !== 'REGISTRY_NOT_FOUND') throw error;
    }
  }
}

/** Runs a copy, and tells its report at last. */
export async function* reportCopy(
  copy: Copy,
  events: AsyncGenerator<CopyEvent, void, void>,
): AsyncGenerator<CopyEvent, CopyReport, void> {
  yield* events;
  const report = copy.report();
  yield { type: 'done', report };
  return report;
}

/**
 * Copies tags of a repository to a repository of another registry, or of the same: whole indexes, with the signatures and
 * SBOMs that refer to them, and only what is missing there. Digests stay. Broken off, it goes on where it was when it is
 * called again.
 *
 * @throws {@link ImageError}: the tags can't be listed. What fails of one tag is in the report.
 * @example for await (const event of copyRepository(client.repository('debian'), client.repository('localhost:5000/debian')));
 */
export function copyRepository(
  source: Repository,
  destination: Repository,
  options: CopyOptions = {},
): AsyncGenerator<CopyEvent, CopyReport, void> {
  const copy = new Copy(source, repositoryDestination(destination, source), options);
  return reportCopy(copy, copy.tags());
}

export interface CopySource {
  readonly repository: Repository;
  /** A tag or a digest. */
  readonly reference: string;
}

export interface CopyDestination {
  readonly repository: Repository;
  /** Default: none, and it is found by its digest only. */
  readonly tag?: string | undefined;
}

/**
 * Copies what one tag or digest means, like {@link copyRepository}.
 *
 * @throws {@link ImageError}: something of it can't be copied
 */
export function copyReference(
  source: CopySource,
  destination: CopyDestination,
  options: Omit<CopyOptions, 'tags' | 'deleteExtra'> = {},
): AsyncGenerator<CopyEvent, CopyReport, void> {
  const copy = new Copy(source.repository, repositoryDestination(destination.repository, source.repository), options);
  return reportCopy(copy, copy.one(source.reference, destination.tag));
}
