import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { hasCode } from '@tsc/sys';

const BLOCK_BYTES = 512;
const TURN_MS = 10;

const statOf = (path: string): Stats | undefined => {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
};

/** Disk bytes of one file, the length of which may be another. */
export const fileBytes = (path: string): number => (statOf(path)?.blocks ?? 0) * BLOCK_BYTES;

/** What `du` counts: files by their blocks, each once however many names it has, and directories. */
export class DiskMeter {
  readonly #seen = new Set<number>();
  bytes = 0;

  /** Returns the bytes that it added. */
  add(stat: Stats): number {
    if (stat.nlink > 1 && !stat.isDirectory()) {
      if (this.#seen.has(stat.ino)) return 0;
      this.#seen.add(stat.ino);
    }
    this.bytes += stat.blocks * BLOCK_BYTES;
    return stat.blocks * BLOCK_BYTES;
  }

  /** A file or directory alone; nothing when it is gone. */
  addPath(path: string): number {
    const stat = statOf(path);
    return stat === undefined ? 0 : this.add(stat);
  }

  /** A directory with all below it, in turns short enough for others. What goes meanwhile counts as gone. */
  async addTree(dir: string, signal?: AbortSignal): Promise<number> {
    let turnEnds = performance.now() + TURN_MS;
    let bytes = this.addPath(dir);
    const dirs = [dir];
    for (let next = dirs.pop(); next !== undefined; next = dirs.pop()) {
      for (const name of namesIn(next)) {
        const path = join(next, name);
        const stat = statOf(path);
        if (stat === undefined) continue;
        bytes += this.add(stat);
        if (stat.isDirectory()) dirs.push(path);
        if (performance.now() < turnEnds) continue;
        await nextTurn();
        signal?.throwIfAborted();
        turnEnds = performance.now() + TURN_MS;
      }
    }
    return bytes;
  }
}

/** Disk bytes of a directory that shares no file with others. */
export const measureTree = (dir: string, signal?: AbortSignal): Promise<number> => new DiskMeter().addTree(dir, signal);

/** The names in a directory; none when it is gone. */
export const namesIn = (dir: string): readonly string[] => {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
};
