import { link, rename, stat, unlink } from 'node:fs/promises';

import { errnoOf, unlessMissing } from './durable.ts';

/** A file under a name, by which it can be told from another that takes the name. */
export interface SeenFile {
  readonly path: string;
  readonly inode: bigint;
}

/** The file that a path leads to; undefined for none. */
export const inodeOf = async (path: string): Promise<bigint | undefined> =>
  (await unlessMissing(stat(path, { bigint: true })))?.ino;

/**
 * Takes a name from a file, and gives it another. A file that came to the name since it was looked at gets it back; it is
 * missing for a moment.
 *
 * @returns whether it was this file
 */
export async function takeAside({ path, inode }: SeenFile, aside: string): Promise<boolean> {
  if ((await inodeOf(path)) !== inode) return false;
  if ((await unlessMissing(rename(path, aside).then(() => true))) === undefined) return false;
  if ((await inodeOf(aside)) === inode) return true;
  await putBack(aside, path);
  return false;
}

/** Gives a file its name back, unless another one has come to it, which is newer then. */
export async function putBack(aside: string, path: string): Promise<void> {
  try {
    await link(aside, path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  await unlessMissing(unlink(aside));
}
