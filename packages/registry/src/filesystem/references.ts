import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Digest } from '../names.ts';
import type { StorageCall } from '../storage.ts';
import { syncDir, unlessMissing } from './durable.ts';
import { allReferrersDir, damagedManifest, digestOfFileName, tagFile, tagsDir } from './layout.ts';
import { hasRecord, readTags } from './manifests.ts';
import { removeTagIf } from './tags.ts';

export interface ReferencesPlace extends StorageCall {
  readonly rootDir: string;
  readonly name: string;
  /** What was changed later is too young. */
  readonly cutoffMs: number;
}

/**
 * Removes what leads to a manifest that isn't there: tags that a process which died while it deleted has left, and referrers
 * whose push or deletion broke off. What leads to a damaged manifest stays.
 */
export async function sweepReferences(place: ReferencesPlace): Promise<void> {
  await sweepTags(place);
  await sweepReferrers(place);
}

const isOld = async (path: string, cutoffMs: number): Promise<boolean> =>
  ((await unlessMissing(stat(path)))?.mtimeMs ?? Infinity) <= cutoffMs;

async function isMissing(rootDir: string, name: string, digest: Digest): Promise<boolean> {
  if (await hasRecord(rootDir, { name, digest })) return false;
  return (await unlessMissing(stat(damagedManifest(rootDir, name, digest)))) === undefined;
}

async function sweepTags({ rootDir, name, cutoffMs, signal }: ReferencesPlace): Promise<void> {
  let removed = 0;
  const leadsNowhere = async (digest: Digest | undefined): Promise<boolean> =>
    digest !== undefined && (await isMissing(rootDir, name, digest));
  for (const tag of await readTags(rootDir, name)) {
    signal?.throwIfAborted();
    if (!(await isOld(tagFile(rootDir, name, tag), cutoffMs))) continue;
    if (await removeTagIf(rootDir, { name, tag }, leadsNowhere)) removed += 1;
  }
  if (removed > 0) await syncDir(tagsDir(rootDir, name));
}

async function sweepReferrers({ rootDir, name, cutoffMs, signal }: ReferencesPlace): Promise<void> {
  for (const algorithm of ['sha256', 'sha512']) {
    const subjects = join(allReferrersDir(rootDir, name), algorithm);
    for (const subject of (await unlessMissing(readdir(subjects))) ?? []) {
      for (const fileName of (await unlessMissing(readdir(join(subjects, subject)))) ?? []) {
        signal?.throwIfAborted();
        const digest = digestOfFileName(fileName);
        const path = join(subjects, subject, fileName);
        if (digest === undefined || !(await isOld(path, cutoffMs))) continue;
        if (await isMissing(rootDir, name, digest)) await unlessMissing(unlink(path));
      }
    }
  }
}
