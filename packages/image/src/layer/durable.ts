import { closeSync, constants, openSync } from 'node:fs';

import { syncfsInPool } from '@tsc/sys';

/**
 * Makes unpacked trees survive power loss: writes all of the file system that a directory is on to its disk, in a thread
 * of the pool. Once for any number of trees; what other programs have written there is waited for as well.
 *
 * @throws what the kernel says, as `@tsc/sys` has it
 * @see https://man7.org/linux/man-pages/man2/syncfs.2.html
 */
export const syncFileSystem = async (dir: string): Promise<void> => {
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncfsInPool(fd);
  } finally {
    closeSync(fd);
  }
};
