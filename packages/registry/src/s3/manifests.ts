import { RegistryError } from '../errors.ts';
import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';
import { compareBytes } from '../pagination.ts';
import type { ManifestInfo, NewManifest, Referrer, StorageCall, StoredManifest } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import {
  digestAtEnd,
  manifestKey,
  manifestsPrefix,
  referrerKey,
  referrersPrefix,
  repositoryKey,
  taggedKey,
  taggedOfManifestPrefix,
  tagKey,
} from './layout.ts';
import type { BlobKey } from './layout.ts';
import { withReservations } from './reservations.ts';

/** How many small objects are read or written at once. */
const AT_ONCE = 16;

export const manifestUnknown = (reference: string): RegistryError =>
  new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown to repository', { detail: { reference } });

/** A manifest is an object of its bytes, with its media type and its subject beside them. */
export interface ManifestRecord extends StoredManifest {
  readonly subject: Digest | undefined;
}

export interface ManifestFacts extends ManifestInfo {
  readonly subject: Digest | undefined;
  readonly pushedAtMs: number;
}

const subjectOf = (metadata: Readonly<Record<string, string>>): Digest | undefined => {
  const subject = metadata['subject'] ?? '';
  return isDigest(subject) ? subject : undefined;
};

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function statManifest(bucket: Bucket, manifest: BlobKey, call?: StorageCall): Promise<ManifestFacts> {
  const found = await bucket.stat(manifestKey(manifest), call);
  if (found === undefined) throw manifestUnknown(manifest.digest);
  const { contentType, sizeBytes, modifiedMs, metadata } = found;
  return { mediaType: contentType, sizeBytes, subject: subjectOf(metadata), pushedAtMs: modifiedMs };
}

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function readManifest(bucket: Bucket, manifest: BlobKey, call?: StorageCall): Promise<ManifestRecord> {
  const found = await bucket.read(manifestKey(manifest), call);
  if (found === undefined) throw manifestUnknown(manifest.digest);
  return { mediaType: found.contentType, bytes: found.bytes, subject: subjectOf(found.metadata) };
}

/**
 * What leads to the manifest without being seen goes first: the referrer, which is listed only when its manifest is there, and
 * the hints by which a deletion finds its tags. Tags go last, so that none leads nowhere.
 */
export async function writeManifest(
  { bucket, conditional }: { readonly bucket: Bucket; readonly conditional: boolean },
  name: string,
  manifest: NewManifest,
): Promise<void> {
  const { digest, immutableTags = new Set() } = manifest;
  const fixed = manifest.tags.filter((tag) => immutableTags.has(tag));
  if (fixed.length > 0 && !conditional) {
    throw new RegistryError('UNSUPPORTED', 'this object storage cannot make tags immutable: it ignores If-None-Match');
  }
  await withReservations(bucket, { name, tags: fixed, digest }, () => storeManifest(bucket, name, manifest));
}

async function storeManifest(bucket: Bucket, name: string, manifest: NewManifest): Promise<void> {
  const { digest, subject, referrer, mediaType, bytes, tags, immutableTags } = manifest;
  const key = { name, digest };
  await forEach(
    [
      () => bucket.put(repositoryKey(name), ''),
      ...(subject === undefined || referrer === undefined
        ? []
        : [() => bucket.put(referrerKey(name, subject, digest), formatReferrer(referrer))]),
      ...tags.map((tag) => () => bucket.put(taggedKey(key, tag), '')),
    ],
    (put) => put(),
  );
  const metadata = subject === undefined ? undefined : { subject };
  await bucket.put(manifestKey(key), bytes, { contentType: mediaType, metadata });
  await forEach(tags, async (tag) => {
    if (immutableTags?.has(tag) !== true) await bucket.put(tagKey(name, tag), digest);
    else if (!(await bucket.create(tagKey(name, tag), digest))) await checkTag(bucket, { name, tag, digest });
  });
  if ((await bucket.stat(manifestKey(key))) !== undefined) return;
  // Somebody deleted it meanwhile, and may have looked for its tags before they were there.
  await removeTagsOf(bucket, key);
  throw manifestUnknown(digest);
}

export interface TagKey {
  readonly name: string;
  readonly tag: string;
}

export interface TagOfManifest extends TagKey {
  readonly digest: Digest;
}

/** @throws {@link RegistryError} `DENIED`: the tag names another manifest */
export async function checkTag(bucket: Bucket, { name, tag, digest }: TagOfManifest): Promise<void> {
  const found = await readTag(bucket, { name, tag });
  if (found === undefined || found === digest) return;
  throw new RegistryError('DENIED', `the tag ${tag} is immutable`, { detail: { tag, digest: found } });
}

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function deleteManifest(bucket: Bucket, manifest: BlobKey): Promise<void> {
  const { subject } = await statManifest(bucket, manifest);
  await removeTagsOf(bucket, manifest);
  await bucket.remove(manifestKey(manifest));
  await removeTagsOf(bucket, manifest);
  if (subject !== undefined) await bucket.remove(referrerKey(manifest.name, subject, manifest.digest));
}

async function removeTagsOf(bucket: Bucket, manifest: BlobKey): Promise<void> {
  const prefix = taggedOfManifestPrefix(manifest);
  const tags: string[] = [];
  for await (const { key } of bucket.list(prefix)) tags.push(key.slice(prefix.length));
  await forEach(tags, async (tag) => {
    if ((await readTag(bucket, { name: manifest.name, tag })) === manifest.digest)
      await bucket.remove(tagKey(manifest.name, tag));
  });
}

export async function readTag(bucket: Bucket, { name, tag }: TagKey, call?: StorageCall): Promise<Digest | undefined> {
  const text = (await bucket.read(tagKey(name, tag), call))?.bytes.toString() ?? '';
  return isDigest(text) ? text : undefined;
}

/** Digests of a repository's manifests, in no order. */
export async function* manifestDigests(bucket: Bucket, name: string, call?: StorageCall): AsyncGenerator<Digest> {
  for await (const { key } of bucket.list(manifestsPrefix(name), call)) {
    const digest = digestAtEnd(key);
    if (digest !== undefined) yield digest;
  }
}

interface ReferrerObject extends Omit<Referrer, 'annotations'> {
  readonly annotations: Readonly<Record<string, string>>;
}

const formatReferrer = ({ annotations, ...referrer }: Referrer): string =>
  JSON.stringify({ ...referrer, annotations: Object.fromEntries(annotations) } satisfies ReferrerObject);

function parseReferrer(text: string): Referrer {
  const { mediaType, digest, sizeBytes, artifactType, annotations } = JSON.parse(text) as ReferrerObject;
  return { mediaType, digest, sizeBytes, artifactType, annotations: new Map(Object.entries(annotations)) };
}

export async function listReferrers(bucket: Bucket, { name, digest }: BlobKey): Promise<readonly Referrer[]> {
  const keys: string[] = [];
  for await (const { key } of bucket.list(referrersPrefix(name, digest))) keys.push(key);
  const referrers: Referrer[] = [];
  await forEach(keys, async (key) => {
    const referring = digestAtEnd(key);
    if (referring === undefined) return;
    const [manifest, found] = await Promise.all([
      bucket.stat(manifestKey({ name, digest: referring })),
      bucket.read(key),
    ]);
    if (manifest !== undefined && found !== undefined) referrers.push(parseReferrer(found.bytes.toString()));
  });
  return referrers.sort((a, b) => compareBytes(a.digest, b.digest));
}

/** Does something for each of many, a few at once. */
export async function forEach<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
}
