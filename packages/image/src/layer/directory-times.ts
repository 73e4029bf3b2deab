import { closeSync, constants } from 'node:fs';

import { FileBatch, type BatchPosition } from '@tsc/sys';

import type { Times } from './attributes.ts';
import { splitPath } from './directory-tree.ts';

const BATCH_DIRECTORIES = 256;
const INITIAL_DIRECTORIES = 256;
/** A directory that a later member replaced has no times to set. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export interface TimedTree {
  readonly rootFd: number;
  /** How paths are resolved below the root. */
  readonly resolve: number;
}

/**
 * The times of directories, to be set when nothing is put into them any more. They are kept as bare numbers: thousands of small
 * objects that live until the end are what makes V8 take more memory for young ones.
 */
export class DirectoryTimes {
  readonly #names: string[] = [];
  /** Of each name the time of the last access, and of the last change, in nanoseconds. */
  #times = new BigInt64Array(2 * INITIAL_DIRECTORIES);

  /** Notes a directory by the name that its member has; of several with one name the last counts. */
  add(name: string, { atimeNs, mtimeNs }: Times): void {
    const at = 2 * this.#names.length;
    if (at === this.#times.length) {
      const larger = new BigInt64Array(2 * at);
      larger.set(this.#times);
      this.#times = larger;
    }
    this.#names.push(name);
    this.#times[at] = atimeNs;
    this.#times[at + 1] = mtimeNs;
  }

  /** Sets them all, in the pool. */
  async set({ rootFd, resolve }: TimedTree): Promise<void> {
    for (let from = 0; from < this.#names.length; from += BATCH_DIRECTORIES) {
      const batch = new FileBatch();
      const starts: BatchPosition[] = [];
      for (let at = from; at < Math.min(from + BATCH_DIRECTORIES, this.#names.length); at++) {
        starts.push(batch.position);
        const path = splitPath(this.#names[at] as string).join('/');
        batch.openat2(rootFd, path === '' ? '.' : path, { flags: constants.O_RDONLY | constants.O_DIRECTORY, resolve });
        batch.futimens({ atimeNs: this.#times[2 * at] as bigint, mtimeNs: this.#times[2 * at + 1] as bigint });
        batch.close();
      }
      await runSkipping(batch, starts);
    }
  }
}

const runSkipping = async (batch: FileBatch, starts: readonly BatchPosition[]): Promise<void> => {
  for (let from: BatchPosition | undefined = starts[0]; from !== undefined;) {
    const { error, operation, fd } = await batch.run(-1, from);
    if (error === undefined) return;
    if (fd >= 0) closeSync(fd);
    if (error.syscall !== 'openat2' || !GONE.has(error.code)) throw error;
    from = starts.find((start) => start.operation > operation);
  }
};
