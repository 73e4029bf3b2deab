import { mkdir, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { mentionedDigests } from '../mentions.ts';
import type { Digest } from '../names.ts';
import type { GarbageReport, StorageCall, UnreadableManifest } from '../storage.ts';
import { restoreLink } from './blobs.ts';
import { mendDamage } from './damage.ts';
import { DigestSet } from './digest-set.ts';
import { unlessMissing } from './durable.ts';
import { linkedDigests } from './inventory.ts';
import { blobsDir, digestOfFileName, linkFile, manifestFile, sweptDir, sweptFile, temporaryDir } from './layout.ts';
import { manifestDigests, parseRecord } from './manifests.ts';
import { sweepReferences } from './references.ts';
import { everyRepository } from './repositories.ts';
import { finishSettingAside, isRecordOf, isUnreadable } from './verify.ts';

export { mentionedDigests } from '../mentions.ts';

export interface CollectOptions extends StorageCall {
  readonly rootDir: string;
  readonly graceMs: number;
}

/** What happened later is too young. Files' times have fractions of a millisecond, our clock has not: it is rounded up. */
const cutoffOf = (graceMs: number): number => Date.now() + 1 - graceMs;

/** What the manifests of a repository need, and what could not be read of them. */
class Needs {
  readonly digests = new DigestSet();
  readonly unreadable: Digest[] = [];
  readonly #read = new DigestSet();
  readonly #options: CollectOptions;
  readonly #name: string;

  constructor(options: CollectOptions, name: string) {
    this.#options = options;
    this.#name = name;
  }

  /** Reads the manifests that came since the last time. */
  async read(): Promise<void> {
    const { rootDir, signal } = this.#options;
    for await (const digest of manifestDigests(rootDir, this.#name)) {
      signal?.throwIfAborted();
      if (!this.#read.add(digest)) continue;
      const file = await readManifestFile(manifestFile(rootDir, this.#name, digest));
      if (file === undefined) continue;
      // One damaged digest in it would cost the blob that was meant.
      if (file === 'unreadable' || !isRecordOf(file, digest)) this.unreadable.push(digest);
      else for (const needed of mentionedDigests(parseRecord(file).bytes)) this.digests.add(needed);
    }
  }
}

async function readManifestFile(path: string): Promise<Buffer | 'unreadable' | undefined> {
  try {
    return await unlessMissing(readFile(path));
  } catch (error) {
    if (isUnreadable(error)) return 'unreadable';
    throw error;
  }
}

/**
 * Sweeps one repository. A link that nobody seems to need is set aside first, and looked at again: who checks for a blob
 * marks it as needed and puts it back, and manifests that came since the first look are read. So a push that goes on at the
 * same time either finds its blob missing before it is acknowledged, or keeps it. A repository with a manifest that can't be
 * read keeps everything.
 */
async function sweepRepository(options: CollectOptions, name: string): Promise<RepositorySweep> {
  const { rootDir, signal } = options;
  const cutoffMs = cutoffOf(options.graceMs);
  const needs = new Needs(options, name);
  await needs.read();
  const damaged = await mendDamage({ rootDir, name, cutoffMs, needs: needs.digests });
  await sweepReferences({ rootDir, name, cutoffMs, signal });
  const aside = await readSwept(rootDir, name);
  if (damaged.length + needs.unreadable.length === 0) {
    for await (const digest of linkedDigests(rootDir, name)) {
      signal?.throwIfAborted();
      if (needs.digests.has(digest)) continue;
      const path = linkFile(rootDir, name, digest);
      if (((await unlessMissing(stat(path)))?.mtimeMs ?? Infinity) > cutoffMs) continue;
      await mkdir(sweptDir(rootDir, name), { recursive: true });
      if ((await unlessMissing(rename(path, sweptFile(rootDir, name, digest)).then(() => true))) === true) {
        aside.push(digest);
      }
    }
  }
  if (aside.length > 0) await needs.read();
  const unreadable = [...damaged, ...needs.unreadable];
  let unlinked = 0;
  for (const digest of aside) {
    const swept = sweptFile(rootDir, name, digest);
    const facts = await unlessMissing(stat(swept));
    if (facts === undefined) continue;
    const needed = unreadable.length > 0 || needs.digests.has(digest) || facts.mtimeMs > cutoffMs;
    if (needed) await restoreLink(rootDir, { name, digest });
    else if ((await unlessMissing(unlink(swept).then(() => true))) === true) unlinked += 1;
  }
  return { unlinked, unreadable };
}

interface RepositorySweep {
  readonly unlinked: number;
  readonly unreadable: readonly Digest[];
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
async function sweepContents({ rootDir, graceMs, signal }: CollectOptions): Promise<RemovedContents> {
  const cutoffMs = cutoffOf(graceMs);
  let removedBlobs = 0;
  let removedBytes = 0;
  for (const algorithm of await readdir(blobsDir(rootDir))) {
    for (const shard of await readdir(join(blobsDir(rootDir), algorithm))) {
      signal?.throwIfAborted();
      const dir = join(blobsDir(rootDir), algorithm, shard);
      for (const hex of await readdir(dir)) {
        const path = join(dir, hex);
        const facts = await unlessMissing(stat(path));
        // The change time also counts the moment when the last repository let go of it.
        if (facts?.nlink !== 1 || Math.max(facts.ctimeMs, facts.mtimeMs) > cutoffMs) continue;
        if ((await unlessMissing(unlink(path).then(() => true))) === undefined) continue;
        removedBlobs += 1;
        removedBytes += facts.size;
      }
    }
  }
  return { removedBlobs, removedBytes };
}

type RemovedContents = Pick<GarbageReport, 'removedBlobs' | 'removedBytes'>;

/** What was left by processes that died: a living one is at work there for moments only. */
async function sweepTemporary({ rootDir, graceMs }: CollectOptions): Promise<void> {
  const cutoffMs = cutoffOf(graceMs);
  for (const entry of await readdir(temporaryDir(rootDir))) {
    const path = join(temporaryDir(rootDir), entry);
    const facts = await unlessMissing(stat(path));
    if (facts !== undefined && facts.ctimeMs <= cutoffMs) await rm(path, { recursive: true, force: true });
  }
}

/** Needs no lock: see the two sweeps for why nothing is lost beside pushes, pulls and other collections. */
export async function collectGarbage(options: CollectOptions): Promise<GarbageReport> {
  await finishSettingAside(options.rootDir);
  let unlinkedBlobs = 0;
  const unreadable: UnreadableManifest[] = [];
  for await (const name of everyRepository(options.rootDir)) {
    const swept = await sweepRepository(options, name);
    unlinkedBlobs += swept.unlinked;
    unreadable.push(...swept.unreadable.map((digest) => ({ name, digest })));
  }
  await sweepTemporary(options);
  const removed = await sweepContents(options);
  return { unlinkedBlobs, ...removed, ...(unreadable.length === 0 ? {} : { unreadable }) };
}
