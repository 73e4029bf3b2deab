import { closeSync, constants } from 'node:fs';

import { FileBatch, type BatchPosition } from '@tsc/sys';

import type { Times } from './attributes.ts';

const BATCH_DIRECTORIES = 256;
/** A directory that a later member replaced has no times to set. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export interface DirectoryTimes {
  readonly rootFd: number;
  /** How paths are resolved below the root. */
  readonly resolve: number;
  /** By path; `.` is the root. */
  readonly times: ReadonlyMap<string, Times>;
}

/** Sets the times of directories in the pool, when nothing is put into them any more. */
export const setDirectoryTimes = async ({ rootFd, resolve, times }: DirectoryTimes): Promise<void> => {
  const all = [...times];
  for (let at = 0; at < all.length; at += BATCH_DIRECTORIES) {
    const batch = new FileBatch();
    const starts: BatchPosition[] = [];
    for (const [path, directoryTimes] of all.slice(at, at + BATCH_DIRECTORIES)) {
      starts.push(batch.position);
      batch.openat2(rootFd, path, { flags: constants.O_RDONLY | constants.O_DIRECTORY, resolve });
      batch.futimens(directoryTimes);
      batch.close();
    }
    await runSkipping(batch, starts);
  }
};

const runSkipping = async (batch: FileBatch, starts: readonly BatchPosition[]): Promise<void> => {
  for (let from: BatchPosition | undefined = starts[0]; from !== undefined;) {
    const { error, operation, fd } = await batch.run(-1, from);
    if (error === undefined) return;
    if (fd >= 0) closeSync(fd);
    if (error.syscall !== 'openat2' || !GONE.has(error.code)) throw error;
    from = starts.find((start) => start.operation > operation);
  }
};
