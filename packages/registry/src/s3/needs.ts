import { mentionedDigests } from '../filesystem/garbage.ts';
import type { Digest } from '../names.ts';
import type { Bucket } from './bucket.ts';
import { damagedPrefix, digestAtEnd, manifestKey, taggedOfManifestPrefix } from './layout.ts';
import type { BlobKey } from './layout.ts';
import { forEach, manifestDigests, readTag } from './manifests.ts';
import { isDigestOf } from './verify.ts';

const REMEMBERED_MAX = 20_000;

/** What the manifests of a repository need, and which ones they are. */
export interface RepositoryNeeds {
  readonly manifests: ReadonlySet<Digest>;
  readonly needed: ReadonlySet<Digest>;
  /** Manifests that aren't what their digest says, or were set aside: nobody knows what they need. */
  readonly unreadable: readonly Digest[];
}

interface NeedsQuery {
  readonly name: string;
  /** What happened later is too young to be forgotten. */
  readonly cutoffMs: number;
}

/** What manifests need, which never changes, so that a collection reads only those that came since the last one. */
export class Needs {
  readonly #byDigest = new Map<Digest, readonly Digest[]>();

  async of(bucket: Bucket, query: NeedsQuery): Promise<RepositoryNeeds> {
    const { name } = query;
    const manifests = new Set<Digest>();
    for await (const digest of manifestDigests(bucket, name)) manifests.add(digest);
    const needed = new Set<Digest>();
    const unreadable: Digest[] = [];
    await forEach([...manifests], async (digest) => {
      const mentioned = await this.#ofManifest(bucket, { name, digest });
      if (mentioned === undefined) unreadable.push(digest);
      for (const other of mentioned ?? []) needed.add(other);
    });
    for await (const digest of missedManifests(bucket, query, { manifests, needed })) unreadable.push(digest);
    return { manifests, needed, unreadable };
  }

  /** @returns undefined when it can't be told */
  async #ofManifest(bucket: Bucket, manifest: BlobKey): Promise<readonly Digest[] | undefined> {
    const known = this.#byDigest.get(manifest.digest);
    if (known !== undefined) return known;
    const found = await bucket.read(manifestKey(manifest));
    if (found === undefined) return [];
    // One damaged digest in it would cost the blob that was meant.
    if (!isDigestOf(found.bytes, manifest.digest)) return undefined;
    const mentioned = mentionedDigests(found.bytes);
    this.#byDigest.set(manifest.digest, mentioned);
    const oldest = this.#byDigest.keys().next().value;
    if (this.#byDigest.size > REMEMBERED_MAX && oldest !== undefined) this.#byDigest.delete(oldest);
    return mentioned;
  }
}

/** A manifest that was set aside is missed while a tag or another manifest leads to it. */
async function* missedManifests(
  bucket: Bucket,
  { name, cutoffMs }: NeedsQuery,
  { manifests, needed }: Omit<RepositoryNeeds, 'unreadable'>,
): AsyncGenerator<Digest> {
  for await (const { key, modifiedMs } of bucket.list(damagedPrefix(name))) {
    const digest = digestAtEnd(key);
    if (digest === undefined) continue;
    const isMissed = modifiedMs > cutoffMs || needed.has(digest) || (await isTagged(bucket, { name, digest }));
    if (!manifests.has(digest) && isMissed) yield digest;
    else await bucket.remove(key);
  }
}

async function isTagged(bucket: Bucket, manifest: BlobKey): Promise<boolean> {
  const prefix = taggedOfManifestPrefix(manifest);
  for await (const { key } of bucket.list(prefix)) {
    if ((await readTag(bucket, { name: manifest.name, tag: key.slice(prefix.length) })) === manifest.digest)
      return true;
  }
  return false;
}
