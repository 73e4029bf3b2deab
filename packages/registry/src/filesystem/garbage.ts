import { mkdir, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { isRegistryError } from '../errors.ts';
import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';
import type { GarbageReport, StorageCall } from '../storage.ts';
import { restoreLink } from './blobs.ts';
import { unlessMissing } from './durable.ts';
import { blobsDir, digestOfFileName, linkFile, linksDir, sweptDir, sweptFile, temporaryDir } from './layout.ts';
import { manifestDigests, readRecord } from './manifests.ts';
import { everyRepository } from './repositories.ts';

export interface CollectOptions extends StorageCall {
  readonly rootDir: string;
  readonly graceMs: number;
}

/** What happened later is too young. Files' times have fractions of a millisecond, our clock has not: it is rounded up. */
const cutoffOf = (graceMs: number): number => Date.now() + 1 - graceMs;

/** What the manifests of a repository need, `seen` being those that were read before. */
async function mark(rootDir: string, name: string, seen: Map<Digest, readonly Digest[]>): Promise<ReadonlySet<Digest>> {
  for await (const digest of manifestDigests(rootDir, name)) {
    if (!seen.has(digest)) seen.set(digest, await needsOf(rootDir, name, digest));
  }
  return new Set([...seen.values()].flat());
}

/**
 * Whatever a manifest mentions counts as needed, so that one of a type that we don't know keeps its blobs too. Written again,
 * its text has no escapes that hide a digest.
 */
export function mentionedDigests(bytes: Uint8Array): readonly Digest[] {
  const text = JSON.stringify(JSON.parse(new TextDecoder().decode(bytes)));
  const mentioned: readonly string[] = text.match(/sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})/g) ?? [];
  return mentioned.filter((digest) => isDigest(digest));
}

async function needsOf(rootDir: string, name: string, digest: Digest): Promise<readonly Digest[]> {
  try {
    return mentionedDigests((await readRecord(rootDir, { name, digest })).bytes);
  } catch (error) {
    if (isRegistryError(error) && error.code === 'MANIFEST_UNKNOWN') return [];
    throw error;
  }
}

/**
 * Sweeps one repository. A link that nobody seems to need is set aside first, and looked at again: who checks for a blob
 * marks it as needed and puts it back, and manifests that came since the first look are read. So a push that goes on at the
 * same time either finds its blob missing before it is acknowledged, or keeps it.
 */
async function sweepRepository({ rootDir, graceMs, signal }: CollectOptions, name: string): Promise<number> {
  const cutoffMs = cutoffOf(graceMs);
  const seen = new Map<Digest, readonly Digest[]>();
  const needed = await mark(rootDir, name, seen);
  const aside: Digest[] = await readSwept(rootDir, name);
  for (const algorithm of ['sha256', 'sha512']) {
    for (const hex of (await unlessMissing(readdir(join(linksDir(rootDir, name), algorithm)))) ?? []) {
      signal?.throwIfAborted();
      const digest = `${algorithm}:${hex}`;
      if (!isDigest(digest) || needed.has(digest)) continue;
      const path = linkFile(rootDir, name, digest);
      if (((await unlessMissing(stat(path)))?.mtimeMs ?? Infinity) > cutoffMs) continue;
      await mkdir(sweptDir(rootDir, name), { recursive: true });
      if ((await unlessMissing(rename(path, sweptFile(rootDir, name, digest)).then(() => true))) === true) {
        aside.push(digest);
      }
    }
  }
  if (aside.length === 0) return 0;
  const neededNow = await mark(rootDir, name, seen);
  let unlinked = 0;
  for (const digest of aside) {
    const swept = sweptFile(rootDir, name, digest);
    const facts = await unlessMissing(stat(swept));
    if (facts === undefined) continue;
    if (neededNow.has(digest) || facts.mtimeMs > cutoffMs) await restoreLink(rootDir, { name, digest });
    else if ((await unlessMissing(unlink(swept).then(() => true))) === true) unlinked += 1;
  }
  return unlinked;
}

/** What a collection that was killed has set aside. */
async function readSwept(rootDir: string, name: string): Promise<Digest[]> {
  const files = (await unlessMissing(readdir(sweptDir(rootDir, name)))) ?? [];
  return files.map(digestOfFileName).filter((digest) => digest !== undefined);
}

/**
 * Removes contents whose only name is the shared one. Who links one in the same moment has it all the same, as a name of its
 * own keeps a file; the next push of the same bytes is then kept a second time.
 */
async function sweepContents({ rootDir, graceMs, signal }: CollectOptions): Promise<readonly number[]> {
  const cutoffMs = cutoffOf(graceMs);
  const removed: number[] = [];
  for (const algorithm of await readdir(blobsDir(rootDir))) {
    for (const shard of await readdir(join(blobsDir(rootDir), algorithm))) {
      signal?.throwIfAborted();
      const dir = join(blobsDir(rootDir), algorithm, shard);
      for (const hex of await readdir(dir)) {
        const path = join(dir, hex);
        const facts = await unlessMissing(stat(path));
        // The change time also counts the moment when the last repository let go of it.
        if (facts?.nlink !== 1 || Math.max(facts.ctimeMs, facts.mtimeMs) > cutoffMs) continue;
        if ((await unlessMissing(unlink(path).then(() => true))) === true) removed.push(facts.size);
      }
    }
  }
  return removed;
}

/** What was left by processes that died. */
async function sweepTemporary({ rootDir, graceMs }: CollectOptions): Promise<void> {
  for (const entry of await readdir(temporaryDir(rootDir))) {
    const path = join(temporaryDir(rootDir), entry);
    const facts = await unlessMissing(stat(path));
    if (facts !== undefined && Date.now() - facts.ctimeMs > Math.max(graceMs, TEMPORARY_MS)) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

const TEMPORARY_MS = 3_600_000;

/** Needs no lock: see the two sweeps for why nothing is lost beside pushes, pulls and other collections. */
export async function collectGarbage(options: CollectOptions): Promise<GarbageReport> {
  let unlinkedBlobs = 0;
  for await (const name of everyRepository(options.rootDir)) unlinkedBlobs += await sweepRepository(options, name);
  await sweepTemporary(options);
  const removed = await sweepContents(options);
  return { unlinkedBlobs, removedBlobs: removed.length, removedBytes: removed.reduce((sum, size) => sum + size, 0) };
}
