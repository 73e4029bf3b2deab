import { Readable } from 'node:stream';

import type { Digest } from '../digest.ts';
import { isImageError } from '../errors.ts';
import { artifactBlobs, type Artifact } from '../image/artifact.ts';
import { stopOnAbort, type Blob } from '../image/blob.ts';
import { isUnshared, markUnshared } from '../image/chunk-memory.ts';
import type { Repository } from '../registry/repository.ts';
import { mapBounded } from '../store/bounded.ts';
import type { EventQueue } from './event-queue.ts';
import type { BlobEvent, PushEvent, PushStatus } from './push.ts';

/** What a push needs of a repository. */
export type PushRepository = Pick<Repository, 'domain' | 'path' | 'resolve' | 'uploadBlob' | 'putManifest'>;

/** Repositories of the same registry that may have a blob. */
export type MountFrom = (digest: Digest) => readonly string[];

export interface UploadContext {
  readonly repository: PushRepository;
  readonly events: EventQueue<PushEvent>;
  readonly signal: AbortSignal;
  readonly parallelBlobs: number;
  readonly mountFrom: MountFrom;
  /** Blobs that this push has seen to already. */
  readonly seen: Set<Digest>;
}

export const tellBlob = (
  events: EventQueue<PushEvent>,
  { descriptor: { digest, size } }: Pick<Blob, 'descriptor'>,
  to: { readonly status: PushStatus; readonly bytes: number; readonly isProgress?: boolean },
): void => {
  const event: BlobEvent = { type: 'blob', digest, status: to.status, currentBytes: to.bytes, totalBytes: size };
  if (to.isProgress === true) events.update(event, digest);
  else events.push(event, digest);
};

/** Tells how far a blob has been read. One that is read again from the start doesn't go back. */
const watched = (blob: Blob, tell: (bytes: number) => void): Blob => {
  let most = 0;
  return {
    descriptor: blob.descriptor,
    open: (options = {}) => {
      const source = blob.open(options);
      const counted = async function* (): AsyncGenerator<Buffer, void, void> {
        let bytes = 0;
        for await (const chunk of source as AsyncIterable<Buffer>) {
          yield chunk;
          bytes += chunk.length;
          if (bytes > most) tell((most = bytes));
        }
      };
      const stream = stopOnAbort(Readable.from(counted(), { objectMode: false }), options.signal);
      if (isUnshared(source)) markUnshared(stream);
      return stream.once('close', () => source.destroy());
    },
  };
};

/** Sees to it that the repository has a blob. */
export const uploadBlob = async (blob: Blob, context: UploadContext, signal: AbortSignal): Promise<void> => {
  const { repository, events, mountFrom } = context;
  const { digest, size } = blob.descriptor;
  tellBlob(events, blob, { status: 'waiting', bytes: 0 });
  let isPushing = false;
  const tell = (bytes: number): void => {
    tellBlob(events, blob, { status: 'pushing', bytes, isProgress: isPushing });
    isPushing = true;
  };
  const outcome = await repository.uploadBlob(watched(blob, tell), { mountFrom: mountFrom(digest), signal });
  context.seen.add(digest);
  tellBlob(events, blob, { status: outcome === 'uploaded' ? 'done' : outcome, bytes: size });
};

/** The digest of what a repository has under a tag or digest, if anything. */
export const findRemote = async (
  { repository, signal }: Pick<UploadContext, 'repository' | 'signal'>,
  tagOrDigest: string,
): Promise<Digest | undefined> => {
  try {
    return (await repository.resolve(tagOrDigest, { signal })).digest;
  } catch (error) {
    if (isImageError(error) && error.code === 'REGISTRY_NOT_FOUND') return undefined;
    throw error;
  }
};

/** Members of an index that the repository lacks, with all below them, each before the index that lists it. */
const missingDocuments = async (artifact: Artifact, context: UploadContext): Promise<readonly Artifact[]> => {
  const { signal, parallelBlobs } = context;
  const seen = new Map<Digest, Artifact>();
  const visit = async (each: Artifact): Promise<void> => {
    const members = each.manifests.filter(({ descriptor }) => !seen.has(descriptor.digest));
    const present = await mapBounded(members, { limit: parallelBlobs, signal }, (member) =>
      findRemote(context, member.descriptor.digest),
    );
    for (const [i, member] of members.entries()) if (present[i] === undefined) await visit(member);
    seen.set(each.descriptor.digest, each);
  };
  await visit(artifact);
  return [...seen.values()];
};

/**
 * Sends what a repository lacks of an artifact: blobs, then the members of an index, then the document itself, so that
 * nothing there ever names what isn't there.
 *
 * @param target - a tag, or the artifact's own digest
 */
export const sendArtifact = async (artifact: Artifact, target: string, context: UploadContext): Promise<void> => {
  const { repository, events, signal, parallelBlobs } = context;
  const { digest } = artifact.descriptor;
  if ((await findRemote(context, target)) === digest) {
    for (const blob of artifactBlobs(artifact))
      tellBlob(events, blob, { status: 'present', bytes: blob.descriptor.size });
    return;
  }
  const documents = await missingDocuments(artifact, context);
  const all = new Map(documents.flatMap((each) => each.blobs).map((blob) => [blob.descriptor.digest, blob]));
  const blobs = [...all.values()].filter((blob) => !context.seen.has(blob.descriptor.digest));
  await mapBounded(blobs, { limit: parallelBlobs, signal }, (blob, stop) => uploadBlob(blob, context, stop));
  await putDocuments(documents.slice(0, -1), context);
  const { mediaType } = artifact.descriptor;
  const tag = target === digest ? undefined : target;
  await repository.putManifest(artifact.bytes, { mediaType, tag, signal });
};

const putDocuments = async (documents: readonly Artifact[], { repository, signal }: UploadContext): Promise<void> => {
  for (const { bytes, descriptor } of documents)
    await repository.putManifest(bytes, { mediaType: descriptor.mediaType, signal });
};
