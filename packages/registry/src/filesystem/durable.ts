import { randomUUID } from 'node:crypto';
import { closeSync } from 'node:fs';
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

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

/** Makes the names in a directory survive power loss. */
export async function syncDir(dir: string): Promise<void> {
  await using handle = await open(dir, 'r');
  await handle.sync();
}

/** Makes a directory with its parents, each of them durable before something is put into it. */
export async function makeDurableDir(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makeDurableDir(dirname(dir));
    await makeDurableDir(dir);
    return;
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
export async function replaceFile(rootDir: string, { path, bytes }: NewFile): Promise<void> {
  const beside = temporaryFile(rootDir);
  try {
    {
      await using handle = await open(beside, 'wx');
      await handle.writeFile(bytes);
      await handle.sync();
    }
    await inDir(dirname(path), () => rename(beside, path));
  } catch (error) {
    await unlessMissing(unlink(beside));
    throw error;
  }
  await syncDir(dirname(path));
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
