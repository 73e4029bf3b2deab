import { createHash } from 'node:crypto';

import { isRegistryError } from '../errors.ts';
import { mentionedDigests } from '../mentions.ts';
import type { Digest } from '../names.ts';
import { compilePatterns } from '../patterns.ts';
import { NO_POLICY } from '../policy/policy.ts';
import type { RepositoryPolicy } from '../policy/policy.ts';
import type { ManifestEntry, RegistryStorage, StorageCall } from '../storage.ts';
import { planRetention } from './retention-plan.ts';
import type {
  InventoryManifest,
  InventoryTag,
  RemovedManifest,
  RemovedTag,
  RepositoryInventory,
  RetentionPlan,
} from './retention-plan.ts';
import type { RetentionRule } from './retention-rules.ts';

/** Manifests that are removed between two looks at a repository: so many, or a part of the rest, as a look takes its time. */
const BATCH = 100;
const BATCH_PART = 1 / 4;
const PAGE_ENTRIES = 1000;

export interface RetentionOptions extends StorageCall {
  /** Whose immutable tags stay. Default: none. */
  readonly policy?: RepositoryPolicy | undefined;
  /** Reports, and removes nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** What ages are counted from. Default: now. */
  readonly nowMs?: number | undefined;
}

export interface RetentionReport {
  readonly dryRun: boolean;
  /** What was removed, or would be; without the repositories that nothing was removed from. */
  readonly repositories: readonly RetentionPlan[];
}

/**
 * Removes tags and manifests as rules say; the room of their blobs is given back by the next garbage collection.
 *
 * It works beside pushes and deletions: a tag that moved since it was looked at stays, and manifests are removed when a second
 * look, after the tags are gone, says the same. Left are the milliseconds between a look and what follows it: who makes a tag
 * for a manifest without one in these, or pushes an index of it, may have to push again.
 *
 * @param rules - see {@link parseRetention}
 * @throws whatever the storage does; what was removed by then stays removed
 */
export async function applyRetention(
  storage: RegistryStorage,
  rules: readonly RetentionRule[],
  options: RetentionOptions = {},
): Promise<RetentionReport> {
  const { dryRun = false, nowMs = Date.now(), signal } = options;
  const fits = rules.map((rule) => compilePatterns(rule.repositories));
  const repositories: RetentionPlan[] = [];
  for await (const name of repositoriesOf(storage, { signal })) {
    if (!fits.some((fit) => fit(name))) continue;
    const look = async (by: readonly RetentionRule[]): Promise<RetentionPlan> =>
      planRetention(await readInventory(storage, name, options), by, nowMs);
    const plan = await look(rules);
    if (plan.tags.length + plan.manifests.length === 0) continue;
    repositories.push(
      dryRun ? plan : await carryOut(storage, plan, { look: () => look(rules.map(withoutTags)), signal }),
    );
  }
  return { dryRun, repositories };
}

/** The tags that are there by now stay. */
const withoutTags = ({ repositories, removeUntaggedAfterMs }: RetentionRule): RetentionRule => ({
  repositories,
  removeUntaggedAfterMs,
});

/** Names of all repositories that have a manifest. */
export async function* repositoriesOf(storage: RegistryStorage, options: StorageCall): AsyncGenerator<string> {
  for (let after: string | undefined; ;) {
    options.signal?.throwIfAborted();
    const { entries, next } = await storage.listRepositories({ limit: PAGE_ENTRIES, after }, options);
    yield* entries;
    if (next === undefined) return;
    after = next;
  }
}

/** Manifests first: a tag that comes between the two lists then leads to one that isn't in them, and all stays for now. */
async function readInventory(
  storage: RegistryStorage,
  name: string,
  { policy = NO_POLICY, signal }: RetentionOptions,
): Promise<RepositoryInventory> {
  const entries: ManifestEntry[] = [];
  for await (const entry of storage.listManifests(name, { signal })) entries.push(entry);
  // The texts of the digests are kept once.
  const present = new Map(entries.map(({ digest }) => [digest, digest]));
  const manifests: InventoryManifest[] = [];
  for (const { digest, subject, sizeBytes, pushedAtMs } of entries) {
    signal?.throwIfAborted();
    const bytes = await readIfReadable(storage, name, { digest, signal });
    if (bytes === 'gone') continue;
    const unreadable = bytes === 'unreadable';
    const mentioned = unreadable
      ? []
      : mentionedDigests(bytes).filter((other) => other !== digest && other !== subject);
    const members = [...new Set(mentioned.flatMap((other) => present.get(other) ?? []))];
    manifests.push({ digest, subject, sizeBytes, pushedAtMs, members, unreadable });
  }
  const tags: InventoryTag[] = [];
  for await (const entry of storage.listTagEntries(name, { signal })) {
    tags.push({ ...entry, immutable: policy.isImmutable(name, entry.tag) });
  }
  return { name, tags, manifests };
}

async function readIfReadable(
  storage: RegistryStorage,
  name: string,
  { digest, signal }: { readonly digest: Digest } & StorageCall,
): Promise<Uint8Array | 'gone' | 'unreadable'> {
  try {
    const { bytes } = await storage.readManifest(name, digest, { signal });
    return isOf(digest, bytes) ? bytes : 'unreadable';
  } catch (error) {
    if (isRegistryError(error) && error.code === 'MANIFEST_UNKNOWN') return 'gone';
    if (isDamage(error)) return 'unreadable';
    throw error;
  }
}

/** What the medium can't read, or what isn't in the form that the storage wrote. */
const isDamage = (error: unknown): boolean =>
  Error.isError(error) && (error.name === 'SyntaxError' || ('code' in error && error.code === 'EIO'));

/** Whether bytes have a digest. */
function isOf(digest: Digest, bytes: Uint8Array): boolean {
  const [algorithm = '', hex] = digest.split(':');
  return createHash(algorithm).update(bytes).digest('hex') === hex;
}

interface CarryOut extends StorageCall {
  /** Looks at the repository once more. */
  readonly look: () => Promise<RetentionPlan>;
}

async function carryOut(
  storage: RegistryStorage,
  plan: RetentionPlan,
  { look, signal }: CarryOut,
): Promise<RetentionPlan> {
  const { name } = plan;
  const tags: RemovedTag[] = [];
  for (const entry of plan.tags) {
    signal?.throwIfAborted();
    if (await removeTag(storage, name, entry)) tags.push(entry);
  }
  const waiting = new Set(plan.manifests.map(({ digest }) => digest));
  const manifests: RemovedManifest[] = [];
  while (waiting.size > 0) {
    const planned = (await look()).manifests.filter(({ digest }) => waiting.has(digest));
    const batch = planned.slice(0, Math.max(BATCH, Math.ceil(planned.length * BATCH_PART)));
    if (batch.length === 0) break;
    for (const manifest of batch) {
      signal?.throwIfAborted();
      waiting.delete(manifest.digest);
      if (await unlessGone(storage.deleteManifest(name, manifest.digest))) manifests.push(manifest);
    }
  }
  return { name, tags, manifests };
}

/** @returns false when it is gone, or names another manifest than it did */
async function removeTag(storage: RegistryStorage, name: string, { tag, digest }: RemovedTag): Promise<boolean> {
  let named: Digest | undefined;
  await unlessGone(storage.resolveTag(name, tag).then((found) => (named = found)));
  return named === digest && unlessGone(storage.deleteTag(name, tag));
}

async function unlessGone(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isRegistryError(error) && error.code === 'MANIFEST_UNKNOWN') return false;
    throw error;
  }
}
