import { closeSync, constants, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

import { syncfsInPool } from '@tsc/sys';

/** Makes a finished file or directory survive power loss. */
export const syncPath = (path: string): void => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};

/** The same in the thread pool, for a file that may be large. */
export const syncFile = async (file: string): Promise<void> => {
  await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  await handle.sync();
};

/**
 * Makes everything that was written below a directory, and on all of its file system, survive power loss. That is one
 * call, where a layer's tree would take one for each file; but it also waits for what others have written.
 */
export const syncTree = async (dir: string): Promise<void> => {
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncfsInPool(fd);
  } finally {
    closeSync(fd);
  }
};

/**
 * Replaces a file as a whole: readers see the old bytes or the new ones. Callers hold the lock that the file changes
 * under, so the temporary name is free, or left behind by somebody dead.
 */
export const replaceFile = (file: string, bytes: Uint8Array | string): void => {
  const beside = `${file}.new`;
  writeFileSync(beside, bytes, { mode: 0o600 });
  syncPath(beside);
  renameSync(beside, file);
  syncPath(dirname(file));
};
