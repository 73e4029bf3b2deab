import { closeSync, constants, createReadStream, fstatSync } from 'node:fs';
import { copyFile, link, open, rename, stat, unlink, utimes } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';

import { RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { ByteRange } from '../ranges.ts';
import type { BlobInfo, OpenBlob } from '../storage.ts';
import {
  errnoOf,
  inDir,
  linkFresh,
  lookInMemory,
  statIfThere,
  syncDir,
  syncFile,
  temporaryFile,
  unlessMissing,
} from './durable.ts';
import { contentFile, linkFile, sweptFile } from './layout.ts';

/** Reads of this size keep a socket busy and memory low. */
const READ_BYTES = 256 * 1024;
/** A blob that was asked for within this time needn't be marked as needed again. */
const FRESH_MS = 1000;

export const blobUnknown = (digest: Digest): RegistryError =>
  new RegistryError('BLOB_UNKNOWN', 'blob unknown to repository', { detail: { digest } });

export interface BlobKey {
  readonly name: string;
  readonly digest: Digest;
}

/**
 * Says that a content is needed now, which is what the grace period of garbage collection counts from. The time belongs to
 * the content, so it holds for every repository that has it.
 */
async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

/** The link of a blob, which garbage collection may have set aside a moment ago: then it is put back. */
async function findLink(rootDir: string, { name, digest }: BlobKey): Promise<BlobInfo | undefined> {
  const path = linkFile(rootDir, name, digest);
  const facts =
    (await statIfThere(path)) ??
    (await unlessMissing(rename(sweptFile(rootDir, name, digest), path).then(() => stat(path))));
  if (facts === undefined) return undefined;
  if (Date.now() - facts.mtimeMs > FRESH_MS && (await unlessMissing(touch(path).then(() => true))) === undefined) {
    return findLink(rootDir, { name, digest });
  }
  return { sizeBytes: facts.size };
}

/** @throws {@link RegistryError} `BLOB_UNKNOWN` */
export async function statLink(rootDir: string, key: BlobKey): Promise<BlobInfo> {
  const info = await findLink(rootDir, key);
  if (info === undefined) throw blobUnknown(key.digest);
  return info;
}

/** @throws {@link RegistryError} `BLOB_UNKNOWN` */
export async function openLink(rootDir: string, { name, digest }: BlobKey): Promise<OpenBlob> {
  const path = linkFile(rootDir, name, digest);
  const found = lookInMemory(path);
  if (found === 'missing') throw blobUnknown(digest);
  if (typeof found === 'object') return openBytes(found);
  if (typeof found === 'number') return openDescriptor(found);
  const handle = await unlessMissing(open(path, 'r'));
  if (handle === undefined) throw blobUnknown(digest);
  try {
    return openHandle(handle, (await handle.stat()).size);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

const openBytes = (bytes: Buffer): OpenBlob => ({
  sizeBytes: bytes.byteLength,
  bytes,
  stream: ({ first, last } = { first: 0, last: bytes.byteLength - 1 }) =>
    Readable.from([bytes.subarray(first, last + 1)]),
  close: () => Promise.resolve(),
});

/** `end` can't be -1; and nothing is read behind the end of an empty file. */
const readOptions = (sizeBytes: number, { first, last }: ByteRange = { first: 0, last: sizeBytes - 1 }) =>
  ({ start: first, end: Math.max(last, first), highWaterMark: READ_BYTES }) as const;

/** The kernel has its facts in memory, as it has just been opened from there. */
function openDescriptor(fd: number): OpenBlob {
  const sizeBytes = fstatSync(fd).size;
  return {
    sizeBytes,
    fd,
    stream: (range) => createReadStream('', { fd, autoClose: true, ...readOptions(sizeBytes, range) }),
    close: () => {
      closeSync(fd);
      return Promise.resolve();
    },
  };
}

const openHandle = (handle: FileHandle, sizeBytes: number): OpenBlob => ({
  sizeBytes,
  fd: handle.fd,
  stream: (range) => handle.createReadStream(readOptions(sizeBytes, range)),
  close: () => handle.close(),
});

interface NewLink extends BlobKey {
  /** When the content was written or needed last, as far as we know. */
  readonly changedMs: number;
}

/**
 * Gives a repository a content; the caller syncs the directory. Many file systems count names of one file in 16 bits; when they are used up, the content is
 * copied once, and the copy takes the next ones.
 *
 * @returns false when there is no such content (any more)
 */
async function linkContent(rootDir: string, from: string, { name, digest, changedMs }: NewLink): Promise<boolean> {
  const target = linkFile(rootDir, name, digest);
  for (;;) {
    try {
      if (Date.now() - changedMs > FRESH_MS) await touch(from);
      await linkFresh(from, target);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      if (errnoOf(error) !== 'EMLINK') throw error;
    }
    await renewContent(rootDir, from, digest);
    from = contentFile(rootDir, digest);
  }
}

/** Puts a copy with no other names in the content's place. */
async function renewContent(rootDir: string, from: string, digest: Digest): Promise<void> {
  const copy = temporaryFile(rootDir);
  try {
    await copyFile(from, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    {
      await using handle = await open(copy, 'r');
      await handle.sync();
    }
    const content = contentFile(rootDir, digest);
    await inDir(dirname(content), () => rename(copy, content));
    await syncDir(dirname(content));
  } finally {
    await unlessMissing(unlink(copy));
  }
}

/** A file whose bytes have been verified. */
export interface VerifiedFile {
  readonly path: string;
  readonly fd: number;
  readonly sizeBytes: number;
  readonly changedMs: number;
}

/** Makes a blob of a repository of a file: its content is kept once, and the file itself may be removed afterwards. */
export async function publishBlob(rootDir: string, file: VerifiedFile, key: BlobKey): Promise<BlobInfo> {
  const content = contentFile(rootDir, key.digest);
  const target = linkFile(rootDir, key.name, key.digest);
  await syncFile(file.fd);
  for (;;) {
    const fresh = await linkFresh(file.path, content);
    // Garbage collection may remove a content that no repository has between these two; then ours takes its place.
    if (!(await linkContent(rootDir, content, { ...key, changedMs: fresh ? file.changedMs : 0 }))) continue;
    // Whichever of the two names survives alone: nobody has been told of the blob, and it is whole.
    await Promise.all([fresh ? syncDir(dirname(content)) : undefined, syncDir(dirname(target))]);
    return { sizeBytes: file.sizeBytes };
  }
}

/** @returns false when the other repository hasn't the blob */
export const mountLink = async (rootDir: string, from: string, key: BlobKey): Promise<boolean> =>
  (await findLink(rootDir, { name: from, digest: key.digest })) !== undefined &&
  mountFrom(rootDir, linkFile(rootDir, from, key.digest), key);

async function mountFrom(rootDir: string, from: string, key: BlobKey): Promise<boolean> {
  if (!(await linkContent(rootDir, from, { ...key, changedMs: 0 }))) return false;
  await syncDir(dirname(linkFile(rootDir, key.name, key.digest)));
  return true;
}

/** Mounts a blob from wherever it is. @returns false when no repository has it */
export async function mountContent(rootDir: string, key: BlobKey): Promise<boolean> {
  const content = contentFile(rootDir, key.digest);
  // One name: it was taken from every repository, and must not come back by itself.
  const names = (await unlessMissing(stat(content)))?.nlink ?? 0;
  return names > 1 && mountFrom(rootDir, content, key);
}

/** @throws {@link RegistryError} `BLOB_UNKNOWN` */
export async function removeLink(rootDir: string, { name, digest }: BlobKey): Promise<void> {
  const path = linkFile(rootDir, name, digest);
  const removed = await Promise.all(
    [path, sweptFile(rootDir, name, digest)].map((file) => unlessMissing(unlink(file).then(() => true))),
  );
  if (removed[0] === undefined) throw blobUnknown(digest);
  await syncDir(dirname(path));
}

/** Puts a link back that was set aside; a fresh one that came meanwhile is as good. */
export async function restoreLink(rootDir: string, { name, digest }: BlobKey): Promise<void> {
  const swept = sweptFile(rootDir, name, digest);
  try {
    await unlessMissing(link(swept, linkFile(rootDir, name, digest)));
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  await unlessMissing(unlink(swept));
}
