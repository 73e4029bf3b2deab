import { randomUUID } from 'node:crypto';
import { closeSync, fdatasync, fstatSync, fsync, open, openSync, write } from 'node:fs';
import type { Stats } from 'node:fs';
import { link, mkdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { systemCalls } from '../system.ts';
import { temporaryDir } from './layout.ts';

/** The kernel's word for why a call failed. */
export const errnoOf = (error: unknown): string | undefined =>
  Error.isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Does without what isn't there. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Files up to this size are read as a whole. */
export const SMALL_BYTES: number = 128 * 1024;

/** What a look into memory says of a file: its bytes, a descriptor of a larger one, that it is missing, or nothing. */
export type CachedFile = Buffer | number | 'missing' | undefined;

/** Looks at a file without waiting for a disk or a thread. The bytes of a larger file than {@link SMALL_BYTES} are left. */
export function lookInMemory(path: string): CachedFile {
  try {
    return systemCalls()?.readCached(path, SMALL_BYTES);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'missing';
    throw error;
  }
}

/** Reads a file that is small, as a rule; undefined when there is none. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  const found = lookInMemory(path);
  if (typeof found === 'object') return found;
  if (found === 'missing') return undefined;
  if (typeof found === 'number') closeSync(found);
  return unlessMissing(readFile(path));
}

/** The facts of a file; undefined when there is none. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  let fd: CachedFile;
  try {
    // Any file is larger than that, so it is opened.
    fd = systemCalls()?.readCached(path, -1);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  if (typeof fd !== 'number') return unlessMissing(stat(path));
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Calls on descriptors, without the objects that `node:fs/promises` makes for each. */
export const openFile = promisify(open) as (path: string, flags: string, mode?: number) => Promise<number>;
/** Makes the bytes of a file, and its length, survive power loss. */
export const syncFile: (fd: number) => Promise<void> = promisify(fdatasync);
const syncNames: (fd: number) => Promise<void> = promisify(fsync);
const writeFile = promisify(write) as (
  fd: number,
  bytes: Uint8Array,
  options: { readonly offset: number; readonly length: number; readonly position: number },
) => Promise<{ readonly bytesWritten: number }>;

/** Writes all of the bytes. */
export async function writeWhole(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) {
    const options = { offset: at, length: bytes.byteLength - at, position: position + at };
    at += (await writeFile(fd, bytes, options)).bytesWritten;
  }
}

/** Syncs of directories: those that run, and those that wait for the one before to end. */
const running = new Map<string, Promise<void>>();
const waiting = new Map<string, Promise<void>>();

/**
 * Makes the names in a directory survive power loss. Many who ask at once share what they wait for: a sync that has not yet
 * begun is for everybody who asks until then.
 */
export function syncDir(dir: string): Promise<void> {
  const shared = waiting.get(dir);
  if (shared !== undefined) return shared;
  const before = running.get(dir) ?? Promise.resolve();
  const sync = before
    .catch(() => undefined)
    .then(() => {
      waiting.delete(dir);
      return beginSync(dir);
    });
  waiting.set(dir, sync);
  return sync;
}

function beginSync(dir: string): Promise<void> {
  const sync = syncDirNow(dir).finally(() => {
    if (running.get(dir) === sync) running.delete(dir);
  });
  running.set(dir, sync);
  return sync;
}

async function syncDirNow(dir: string): Promise<void> {
  // It is in memory, as something was done in it a moment ago: to open it takes no disk.
  const fd = openSync(dir, 'r');
  try {
    await syncNames(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a directory with its parents, each of them durable before something is put into it. */
export async function makeDurableDir(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makeDurableDir(dirname(dir));
    // Once more, and no more: where no directory can be made, as in /proc, the kernel says the same again.
    try {
      await mkdir(dir);
    } catch (again) {
      if (errnoOf(again) === 'EEXIST') return;
      throw again;
    }
  }
  await syncDir(dirname(dir));
}

/** Does something in a directory, which is made when it turns out to be missing. */
export async function inDir<T>(dir: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  await makeDurableDir(dir);
  return act();
}

/** A name below `temporary` that nobody else has. */
export const temporaryFile = (rootDir: string): string => join(temporaryDir(rootDir), randomUUID());

export interface NewFile {
  readonly path: string;
  readonly bytes: Uint8Array | string;
}

/** Writes a file as a whole: readers see the old one or the new one, and the new one stays. */
export async function replaceFile(rootDir: string, file: NewFile): Promise<void> {
  await (await prepareFile(rootDir, file)).publish();
}

/** A file that is on the disk, but not yet in its place. */
export interface PreparedFile {
  /** Puts it there; the new one stays. */
  publish(): Promise<void>;
  /** Forgets it. */
  discard(): Promise<void>;
}

/** The first half of {@link replaceFile}, for what must not be seen before something else is. */
export async function prepareFile(rootDir: string, { path, bytes }: NewFile): Promise<PreparedFile> {
  const beside = temporaryFile(rootDir);
  const discard = async (): Promise<void> => {
    await unlessMissing(unlink(beside));
  };
  try {
    const fd = await openFile(beside, 'wx');
    try {
      await writeWhole(fd, typeof bytes === 'string' ? Buffer.from(bytes) : bytes, 0);
      await syncFile(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    await discard();
    throw error;
  }
  const publish = async (): Promise<void> => {
    try {
      await inDir(dirname(path), () => rename(beside, path));
    } catch (error) {
      await discard();
      throw error;
    }
    await syncDir(dirname(path));
  };
  return { publish, discard };
}

/** Prepares several at once, or none. */
export async function prepareFiles(rootDir: string, files: readonly NewFile[]): Promise<readonly PreparedFile[]> {
  const ends = await Promise.allSettled(files.map((file) => prepareFile(rootDir, file)));
  const failed = ends.find((end) => end.status === 'rejected');
  const prepared = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  if (failed === undefined) return prepared;
  await Promise.all(prepared.map((file) => file.discard()));
  throw failed.reason;
}

/** Gives a file a second name. @returns false when that name is taken */
export async function linkFresh(from: string, to: string): Promise<boolean> {
  try {
    await inDir(dirname(to), () => link(from, to));
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
  return true;
}
