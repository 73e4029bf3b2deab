import { isRegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { ManifestEntry, RegistryStorage } from '../storage.ts';
import { describedBy, isIndex } from './documents.ts';
import type { EvictOptions, EvictReport, Upstream } from './options.ts';

const PAGE = 1000;

/**
 * Removes cached manifests that nobody pulled for long. What a manifest that stays needs stays with it: members of an index,
 * and the subject's referrers.
 *
 * @param storage - the one below the cache: reading through the cache would count as a pull
 */
export async function evictIdle(
  storage: RegistryStorage,
  upstreams: readonly Pick<Upstream, 'prefix'>[],
  { maxIdleMs, signal }: EvictOptions,
): Promise<EvictReport> {
  let evictedManifests = 0;
  for await (const name of repositories(storage)) {
    if (!upstreams.some(({ prefix }) => prefix === '' || name.startsWith(`${prefix}/`))) continue;
    signal?.throwIfAborted();
    evictedManifests += await evictFrom(storage, name, Date.now() - maxIdleMs);
  }
  return { evictedManifests };
}

async function* repositories(storage: RegistryStorage): AsyncGenerator<string> {
  for (let after: string | undefined; ;) {
    const { entries, next } = await storage.listRepositories({ limit: PAGE, after });
    yield* entries;
    if (next === undefined) return;
    after = next;
  }
}

async function evictFrom(storage: RegistryStorage, name: string, cutoffMs: number): Promise<number> {
  const manifests = new Map<Digest, ManifestEntry>();
  for await (const entry of storage.listManifests(name)) manifests.set(entry.digest, entry);
  const kept = new Set<Digest>();
  const keep = async (digest: Digest): Promise<void> => {
    const entry = manifests.get(digest);
    if (entry === undefined || kept.has(digest)) return;
    kept.add(digest);
    for (const member of await membersOf(storage, name, entry)) await keep(member);
  };
  for (const { digest, pushedAtMs } of manifests.values()) if (pushedAtMs > cutoffMs) await keep(digest);
  // A referrer may have referrers of its own.
  for (let before = -1; before !== kept.size;) {
    before = kept.size;
    for (const { digest, subject } of manifests.values())
      if (subject !== undefined && kept.has(subject)) await keep(digest);
  }
  const idle = [...manifests.keys()].filter((digest) => !kept.has(digest));
  for (const digest of idle) await removeManifest(storage, name, digest);
  return idle.length;
}

async function membersOf(
  storage: RegistryStorage,
  name: string,
  { digest, mediaType }: ManifestEntry,
): Promise<readonly Digest[]> {
  if (!isIndex(mediaType)) return [];
  return describedBy(await storage.readManifest(name, digest)).map((member) => member.digest);
}

async function removeManifest(storage: RegistryStorage, name: string, digest: Digest): Promise<void> {
  try {
    await storage.deleteManifest(name, digest);
  } catch (error) {
    // Somebody else was faster.
    if (!isRegistryError(error) || error.status !== 404) throw error;
  }
}
