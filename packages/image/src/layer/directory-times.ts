import { closeSync, constants } from 'node:fs';

import { FileBatch, type BatchPosition } from '@tsc/sys';

import type { Times } from './attributes.ts';
import { splitPath } from './directory-tree.ts';

const BATCH_DIRECTORIES = 256;
const INITIAL_DIRECTORIES = 256;
/** Of each directory: two times, in two numbers each. */
const NUMBERS = 4;
const SECOND_NS = 1_000_000_000n;
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
  /** Seconds and the rest, as 64 bits of nanoseconds end in the year 2262. */
  #times = new Float64Array(NUMBERS * INITIAL_DIRECTORIES);

  /** Notes a directory by the name that its member has; of several with one name the last counts. */
  add(name: string, { atimeNs, mtimeNs }: Times): void {
    const at = NUMBERS * this.#names.length;
    if (at === this.#times.length) {
      const larger = new Float64Array(2 * at);
      larger.set(this.#times);
      this.#times = larger;
    }
    this.#names.push(name);
    this.#times.set([...split(atimeNs), ...split(mtimeNs)], at);
  }

  #timesAt(index: number): Times {
    const [atime = 0, atimeRest = 0, mtime = 0, mtimeRest = 0] = this.#times.subarray(NUMBERS * index);
    return { atimeNs: join(atime, atimeRest), mtimeNs: join(mtime, mtimeRest) };
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
        batch.futimens(this.#timesAt(at));
        batch.close();
      }
      await runSkipping(batch, starts);
    }
  }
}

const split = (ns: bigint): readonly [seconds: number, rest: number] => [
  Number(ns / SECOND_NS),
  Number(ns % SECOND_NS),
];
const join = (seconds: number, rest: number): bigint => BigInt(seconds) * SECOND_NS + BigInt(rest);

const runSkipping = async (batch: FileBatch, starts: readonly BatchPosition[]): Promise<void> => {
  for (let from: BatchPosition | undefined = starts[0]; from !== undefined;) {
    const { error, operation, fd } = await batch.run(-1, from);
    if (error === undefined) return;
    if (fd >= 0) closeSync(fd);
    if (error.syscall !== 'openat2' || !GONE.has(error.code)) throw error;
    from = starts.find((start) => start.operation > operation);
  }
};
