import type { Descriptor } from '../descriptor.ts';
import { isDigest, parseDigest, type Digest } from '../digest.ts';
import { compact } from '../document.ts';
import { ImageError, isImageError } from '../errors.ts';
import { parseIndex, parseManifest, type Index, type Manifest } from '../manifest.ts';
import { isIndexType, OCI_INDEX } from '../media-types.ts';
import { header } from './failure.ts';
import { fetchManifest, removeManifest, storeManifest, type TaggedManifest } from './manifests.ts';
import { PAGE_MAX_BYTES, pages } from './pages.ts';
import type { FetchedManifest, PutManifestOptions } from './repository.ts';
import { untilAborted } from './shared-calls.ts';
import { nameOf, needOf, targetAt, type Place } from './site.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

const PAGES_MAX = 1000;

const indexOf = (manifests: readonly Descriptor[]): Index => ({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });

/** The tag under which registries without the API keep a manifest's referrers. */
const fallbackTag = (digest: Digest): string => digest.replace(':', '-');

/** By the API; `undefined` where the registry hasn't got it. */
const byApi = async (
  place: Place,
  digest: Digest,
  { artifactType, signal }: CallOptions & { readonly artifactType?: string | undefined },
): Promise<readonly Descriptor[] | undefined> => {
  const { origin } = place;
  const target = targetAt(origin, `referrers/${digest}`, artifactType === undefined ? {} : { artifactType });
  const what = `cannot list the referrers of ${nameOf(place, digest)}`;
  const request = { target, need: needOf(origin, 'pull'), headers: { accept: OCI_INDEX }, what, signal };
  const found: Descriptor[] = [];
  let count = 0;
  try {
    for await (const { answer, bytes } of pages(origin.server, request)) {
      // Servers that know no such path may answer with a page for people.
      if (header(answer, 'content-type')?.startsWith(OCI_INDEX) !== true) return undefined;
      found.push(...parseIndex(bytes, `referrers of ${digest}`, PAGE_MAX_BYTES).manifests);
      count += 1;
      if (count > PAGES_MAX) throw new ImageError('REGISTRY_FAILED', `${what}: more than ${String(PAGES_MAX)} pages`);
    }
    return found;
  } catch (error) {
    if (isImageError(error) && ['REGISTRY_NOT_FOUND', 'REGISTRY_REFUSED'].includes(error.code) && count === 0)
      return undefined;
    throw error;
  }
};

/** The index under the fallback tag; `undefined` if there is none. */
const byTag = async (place: Place, digest: Digest, options: CallOptions): Promise<TaggedManifest | undefined> => {
  try {
    // The registry's own word: a mirror may not have heard yet.
    const found = await fetchManifest({ ...place, mirrors: [] }, fallbackTag(digest), options);
    return isIndexType(found.descriptor.mediaType) ? found : undefined;
  } catch (error) {
    if (isImageError(error) && error.code === 'REGISTRY_NOT_FOUND') return undefined;
    throw error;
  }
};

const listed = (found: FetchedManifest | undefined): readonly Descriptor[] =>
  found === undefined ? [] : parseIndex(found.bytes, `index ${found.descriptor.digest}`).manifests;

/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers */
export const listReferrers = async (
  place: Place,
  digest: Digest,
  options: CallOptions & { readonly artifactType?: string | undefined },
): Promise<Index> => {
  parseDigest(digest);
  const found = (await byApi(place, digest, options)) ?? listed(await byTag(place, digest, options));
  // A registry that doesn't say that it has filtered may have done so or not.
  const { artifactType } = options;
  return indexOf(artifactType === undefined ? found : found.filter((line) => line.artifactType === artifactType));
};

/** What of a manifest stands in the list of its subject's referrers. */
const referrerLine = (descriptor: Descriptor, manifest: Manifest | Index): Descriptor =>
  compact({
    ...descriptor,
    artifactType: manifest.artifactType ?? ('config' in manifest ? manifest.config.mediaType : undefined),
    annotations: manifest.annotations,
  });

const parseEither = (bytes: Uint8Array, mediaType: string): Manifest | Index =>
  isIndexType(mediaType) ? parseIndex(bytes) : parseManifest(bytes);

const CHANGES_MAX = 10;
/** By registry and tag: who changes an index in this process waits for who does already. */
const changing = new Map<string, Promise<unknown>>();

const inTurn = async <T>(key: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
  const before = changing.get(key);
  const turn = (async () => {
    await untilAborted(before?.catch(() => undefined) ?? Promise.resolve(), signal);
    return await run();
  })();
  changing.set(key, turn);
  try {
    return await turn;
  } finally {
    if (changing.get(key) === turn) changing.delete(key);
  }
};

/**
 * Changes the index under the fallback tag, and looks whether the change has stayed: others may write at the same time,
 * and few registries heed `If-Match`.
 */
const changeFallback = async (
  place: Place,
  subject: Digest,
  options: CallOptions & { readonly change: (lines: readonly Descriptor[]) => readonly Descriptor[] | undefined },
): Promise<void> => {
  const { change, signal } = options;
  const tag = fallbackTag(subject);
  await inTurn(
    nameOf(place, tag),
    async () => {
      for (let tries = 0; tries < CHANGES_MAX; tries += 1) {
        const found = await byTag(place, subject, { signal });
        const lines = change(listed(found));
        if (lines === undefined) return;
        const bytes = Buffer.from(JSON.stringify(indexOf(lines)));
        // 412 says that somebody else was first: the next look shows what there is now.
        await storeManifest(place, bytes, { mediaType: OCI_INDEX, tag, ifMatch: found?.etag, signal });
      }
      throw new ImageError('REGISTRY_FAILED', `cannot update ${nameOf(place, tag)}: others write it all the time`);
    },
    signal,
  );
};

/** Stores a manifest, and lists it with its subject where the registry doesn't do that. */
export const putManifest = async (
  place: Place,
  bytes: Uint8Array,
  options: PutManifestOptions,
): Promise<Descriptor> => {
  const { signal, mediaType } = options;
  const manifest = parseEither(bytes, mediaType);
  const { descriptor, answer } = await storeManifest(place, bytes, options);
  if (manifest.subject === undefined || header(answer, 'oci-subject') !== undefined) return descriptor;
  const subject = manifest.subject.digest;
  if ((await byApi(place, subject, { signal })) !== undefined) return descriptor;
  const line = referrerLine(descriptor, manifest);
  const change = (lines: readonly Descriptor[]): readonly Descriptor[] | undefined =>
    lines.some(({ digest }) => digest === line.digest) ? undefined : [...lines, line];
  await changeFallback(place, subject, { change, signal });
  return descriptor;
};

/** Deletes a manifest, and takes it off the list of its subject's referrers where the registry doesn't do that. */
export const deleteManifest = async (place: Place, tagOrDigest: string, { signal }: CallOptions): Promise<void> => {
  const found = await subjectOf(place, tagOrDigest, { signal });
  await removeManifest(place, tagOrDigest, { signal });
  if (found === undefined || (await byApi(place, found.subject, { signal })) !== undefined) return;
  const change = (lines: readonly Descriptor[]): readonly Descriptor[] | undefined =>
    lines.some(({ digest }) => digest === found.digest)
      ? lines.filter(({ digest }) => digest !== found.digest)
      : undefined;
  await changeFallback(place, found.subject, { change, signal });
};

/** What can't be read has no subject that we know of, and may be deleted all the same. */
const subjectOf = async (
  place: Place,
  tagOrDigest: string,
  { signal }: CallOptions,
): Promise<{ readonly subject: Digest; readonly digest: Digest } | undefined> => {
  if (!isDigest(tagOrDigest)) return undefined;
  try {
    const { descriptor, bytes } = await fetchManifest({ ...place, mirrors: [] }, tagOrDigest, { signal });
    const { subject } = parseEither(bytes, descriptor.mediaType);
    return subject === undefined ? undefined : { subject: subject.digest, digest: descriptor.digest };
  } catch (error) {
    if (isImageError(error)) return undefined;
    throw error;
  }
};
