import { createHash, randomUUID } from 'node:crypto';
import { open, readdir, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';
import type { ContentState, VerifyOptions } from '../storage.ts';
import { inodeOf, putBack, takeAside } from './aside.ts';
import type { SeenFile } from './aside.ts';
import { errnoOf, inDir, linkFresh, makeDurableDir, syncDir, temporaryFile, unlessMissing } from './durable.ts';
import {
  contentFile,
  corruptDir,
  corruptFile,
  damagedBlob,
  damagedManifest,
  linkFile,
  manifestFile,
  splitDigest,
  sweptFile,
} from './layout.ts';
import { parseRecord } from './manifests.ts';
import type { ManifestKey } from './manifests.ts';
import { everyRepository } from './repositories.ts';

const READ_BYTES = 1024 * 1024;
/** Shorter rests are saved up. */
const REST_MS = 20;
/** What still has a name then has it where nobody is served from, such as an upload that is just ending. */
const IDLE_ROUNDS = 3;

/** A file as it was read, and whether it is what its name says. */
interface Verdict {
  readonly inode: bigint;
  readonly intact: boolean;
}

/** What the medium can't read any more is as lost as what it reads wrongly. */
export const isUnreadable = (error: unknown): boolean => errnoOf(error) === 'EIO';

async function judge(path: string, act: (handle: FileHandle) => Promise<boolean>): Promise<Verdict | undefined> {
  await using handle = await unlessMissing(open(path, 'r'));
  if (handle === undefined) return undefined;
  const { ino: inode } = await handle.stat({ bigint: true });
  try {
    return { inode, intact: await act(handle) };
  } catch (error) {
    if (isUnreadable(error)) return { inode, intact: false };
    throw error;
  }
}

/** Reads a content and compares it; undefined when it isn't there. */
function judgeContent(path: string, digest: Digest, options: VerifyOptions): Promise<Verdict | undefined> {
  const { signal, bytesPerSecond = Infinity } = options;
  const [algorithm, hex] = splitDigest(digest);
  return judge(path, async (handle) => {
    const hash = createHash(algorithm);
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(READ_BYTES, Math.ceil(bytesPerSecond / 10))));
    const begun = performance.now();
    for (let position = 0; ;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, position);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
      const restMs = (position / bytesPerSecond) * 1000 - (performance.now() - begun);
      if (restMs > REST_MS) await sleep(restMs, undefined, { signal });
    }
    return hash.digest('hex') === hex;
  });
}

/**
 * Verifies the files of a content: the shared one, and `others`, which repositories have besides. Those that are corrupt are
 * set aside.
 */
export async function verifyFiles(
  rootDir: string,
  digest: Digest,
  { others, ...options }: VerifyOptions & { readonly others: readonly string[] },
): Promise<ContentState> {
  const judged = new Set<bigint>();
  let state: ContentState = 'gone';
  for (const path of [contentFile(rootDir, digest), ...others]) {
    const inode = await inodeOf(path);
    if (inode === undefined || judged.has(inode)) continue;
    const verdict = await judgeContent(path, digest, options);
    if (verdict === undefined) continue;
    judged.add(verdict.inode);
    if (verdict.intact) state = state === 'corrupt' ? state : 'intact';
    else {
      await setAside(rootDir, digest, { path, inode: verdict.inode });
      state = 'corrupt';
    }
  }
  return state;
}

/**
 * Takes a corrupt file from everybody. The shared name goes first, so that nobody gets new links to the file; then the kernel's
 * count of its names says when the last one is gone, also of links that were made meanwhile. A process that dies in between
 * leaves a file in `corrupt` with more than one name.
 */
async function setAside(rootDir: string, digest: Digest, seen: SeenFile): Promise<void> {
  const aside = corruptFile(rootDir, digest, randomUUID());
  await makeDurableDir(dirname(aside));
  const shared = { path: contentFile(rootDir, digest), inode: seen.inode };
  if (await takeAside(shared, aside)) await syncDir(dirname(shared.path));
  else {
    // It has no shared name: a repository's link leads to it, until that is removed.
    if ((await unlessMissing(linkFresh(seen.path, aside))) === undefined) return;
    if ((await inodeOf(aside)) !== seen.inode) return unlink(aside);
  }
  await syncDir(dirname(aside));
  await takeLinks(rootDir, digest, aside);
}

/** Looks again when it found nothing: a link may have moved from where it wasn't seen yet to where it was looked for. */
async function takeLinks(rootDir: string, digest: Digest, aside: string): Promise<void> {
  for (let idle = 0; idle < IDLE_ROUNDS;) {
    const facts = await unlessMissing(stat(aside, { bigint: true }));
    if (facts === undefined || facts.nlink === 1n) return;
    let taken = 0;
    for await (const name of everyRepository(rootDir)) taken += await takeLink(rootDir, { name, digest }, facts.ino);
    idle = taken === 0 ? idle + 1 : 0;
  }
}

/** @returns how many links it had to the file */
async function takeLink(rootDir: string, { name, digest }: ManifestKey, inode: bigint): Promise<number> {
  let taken = 0;
  for (const path of [linkFile(rootDir, name, digest), sweptFile(rootDir, name, digest)]) {
    if ((await inodeOf(path)) !== inode) continue;
    // The mark first: the repository's wish for this blob must not be lost with the link.
    const mark = damagedBlob(rootDir, name, digest);
    await inDir(dirname(mark), async () => (await open(mark, 'a')).close());
    await syncDir(dirname(mark));
    const away = temporaryFile(rootDir);
    if (!(await takeAside({ path, inode }, away))) continue;
    await unlessMissing(unlink(away));
    await syncDir(dirname(path));
    taken += 1;
  }
  return taken;
}

/** Goes on where a process died that set something aside. */
export async function finishSettingAside(rootDir: string): Promise<void> {
  for (const entry of (await unlessMissing(readdir(corruptDir(rootDir)))) ?? []) {
    const path = join(corruptDir(rootDir), entry);
    const digest = (entry.split('.', 1)[0] ?? '').replace('-', ':');
    if (!isDigest(digest) || ((await unlessMissing(stat(path)))?.nlink ?? 0) < 2) continue;
    const verdict = await judgeContent(path, digest, {});
    // The process died while it looked whether it had taken the right one.
    if (verdict?.intact === true)
      await inDir(dirname(contentFile(rootDir, digest)), () => putBack(path, contentFile(rootDir, digest)));
    else await takeLinks(rootDir, digest, path);
  }
}

/** A manifest that isn't what its digest says is set aside, and its tags stay. */
export async function verifyRecord(rootDir: string, { name, digest }: ManifestKey): Promise<ContentState> {
  const path = manifestFile(rootDir, name, digest);
  const verdict = await judge(path, async (handle) => isRecordOf(await handle.readFile(), digest));
  if (verdict === undefined) return 'gone';
  if (verdict.intact) return 'intact';
  const aside = damagedManifest(rootDir, name, digest);
  await makeDurableDir(dirname(aside));
  if (!(await takeAside({ path, inode: verdict.inode }, aside))) return 'gone';
  for (const place of [aside, path]) await syncDir(dirname(place));
  return 'corrupt';
}

/** Whether a manifest's file is readable, has the bytes of its digest, and says of them what they say themselves. */
export function isRecordOf(file: Buffer, digest: Digest): boolean {
  const [algorithm, hex] = splitDigest(digest);
  try {
    const { bytes, mediaType, subject } = parseRecord(file);
    if (createHash(algorithm).update(bytes).digest('hex') !== hex) return false;
    const said = JSON.parse(Buffer.from(bytes).toString()) as Stated;
    return mediaType === (said.mediaType ?? mediaType) && subject === (said.subject?.digest ?? subject);
  } catch {
    return false;
  }
}

interface Stated {
  readonly mediaType?: unknown;
  readonly subject?: { readonly digest?: unknown };
}
