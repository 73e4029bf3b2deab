import { readdir, stat, unlink } from 'node:fs/promises';

import type { Digest } from '../names.ts';
import { mountContent } from './blobs.ts';
import type { DigestSet } from './digest-set.ts';
import { unlessMissing } from './durable.ts';
import {
  damagedBlobsDir,
  damagedManifestsDir,
  damagedBlob,
  damagedManifest,
  digestOfFileName,
  linkFile,
} from './layout.ts';
import { hasRecord, readTags } from './manifests.ts';
import { readTag } from './tags.ts';

export interface DamagedRepository {
  readonly rootDir: string;
  readonly name: string;
  /** What happened later is too young to be forgotten. */
  readonly cutoffMs: number;
  /** What its readable manifests mention. */
  readonly needs: DigestSet;
}

/**
 * Mends what scrub has found: a blob that a repository had comes back when somebody has pushed it again, wherever that was.
 *
 * @returns the damaged manifests that are still missed
 */
export async function mendDamage(repository: DamagedRepository): Promise<readonly Digest[]> {
  const missed = await mendManifests(repository);
  await mendBlobs(repository, missed.length > 0);
  return missed;
}

const damagedIn = async (dir: string): Promise<readonly Digest[]> =>
  ((await unlessMissing(readdir(dir))) ?? []).map(digestOfFileName).filter((digest) => digest !== undefined);

/** A damaged manifest is missed while a tag or another manifest leads to it. */
async function mendManifests({ rootDir, name, cutoffMs, needs }: DamagedRepository): Promise<readonly Digest[]> {
  const missed: Digest[] = [];
  for (const digest of await damagedIn(damagedManifestsDir(rootDir, name))) {
    const path = damagedManifest(rootDir, name, digest);
    const facts = await unlessMissing(stat(path));
    const mended = await hasRecord(rootDir, { name, digest });
    const old = facts === undefined || facts.ctimeMs <= cutoffMs;
    if (mended || (old && !needs.has(digest) && !(await isTagged(rootDir, name, digest)))) {
      await unlessMissing(unlink(path));
    } else missed.push(digest);
  }
  return missed;
}

async function isTagged(rootDir: string, name: string, digest: Digest): Promise<boolean> {
  for (const tag of await readTags(rootDir, name)) {
    if ((await readTag(rootDir, { name, tag })) === digest) return true;
  }
  return false;
}

async function mendBlobs({ rootDir, name, cutoffMs, needs }: DamagedRepository, keepAll: boolean): Promise<void> {
  for (const digest of await damagedIn(damagedBlobsDir(rootDir, name))) {
    const mark = damagedBlob(rootDir, name, digest);
    const needed = keepAll || needs.has(digest) || ((await unlessMissing(stat(mark)))?.mtimeMs ?? 0) > cutoffMs;
    const there = (await unlessMissing(stat(linkFile(rootDir, name, digest)))) !== undefined;
    // What is shared again came by a push, whose bytes were verified.
    if (there || !needed || (await mountContent(rootDir, { name, digest }))) await unlessMissing(unlink(mark));
  }
}
