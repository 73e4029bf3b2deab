import { existsSync, mkdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { hasCode } from '@tsc/sys';

import { digestHex, type Digest } from '../digest.ts';
import { namesIn } from './disk.ts';
import { tryLock } from './lock.ts';
import { blobFile, type StorePaths } from './paths.ts';

const LOCK = 'lock';
const PAUSE_MAX_MS = 50;
const HEX = /^[0-9a-f]{64}$/;
/** A download that nobody went on with for so long is given up. */
const STALE_MS = 3 * 24 * 60 * 60 * 1000;

/**
 * The directory of a layer that is being fetched, held by a lock: its bytes as far as they came (`data`), and how far that
 * is (`progress`). When its owner dies, the next one goes on from there.
 */
export class DownloadDir implements Disposable {
  readonly dataFile: string;
  readonly progressFile: string;
  readonly #dir: string;
  readonly #lock: Disposable;

  constructor(dir: string, held: Disposable) {
    this.#dir = dir;
    this.dataFile = join(dir, 'data');
    this.progressFile = join(dir, 'progress');
    this.#lock = held;
  }

  /** Lets others have it, with what is in it. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }

  /** Lets go of it and removes it. */
  remove(): void {
    for (const file of [this.dataFile, this.progressFile, join(this.#dir, LOCK)]) rmSync(file, { force: true });
    try {
      rmdirSync(this.#dir);
    } catch (error) {
      // Somebody has come meanwhile, and starts anew.
      if (!hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    this.#lock[Symbol.dispose]();
  }
}

const dirOf = (paths: StorePaths, digest: Digest): string => join(paths.downloadsDir, digestHex(digest));

/** Takes the download of a layer when nobody has it. */
const tryClaim = (dir: string): DownloadDir | undefined => {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const held = tryLock(join(dir, LOCK));
    return held === undefined ? undefined : new DownloadDir(dir, held);
  } catch (error) {
    // Its last owner removes it at this moment.
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

/** Waits until nobody else fetches the layer. */
export const claimDownload = async (
  paths: StorePaths,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<DownloadDir> => {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    signal?.throwIfAborted();
    const claimed = tryClaim(dirOf(paths, digest));
    if (claimed !== undefined) return claimed;
    await sleep(pauseMs, undefined, { signal });
  }
};

/** Removes the download of a layer, unless somebody works on it. */
export const dropDownload = (paths: StorePaths, digest: Digest): void => {
  const dir = dirOf(paths, digest);
  if (existsSync(dir)) tryClaim(dir)?.remove();
};

const bytesOf = (dir: string): number => {
  const stat = statSync(join(dir, 'data'), { throwIfNoEntry: false });
  // A second name of a blob's file costs nothing.
  return stat === undefined || stat.nlink > 1 ? 0 : stat.blocks * 512;
};

const isGivenUp = (paths: StorePaths, name: string, before: number): boolean => {
  if (!HEX.test(name)) return false;
  const progress = statSync(join(paths.downloadsDir, name, 'progress'), { throwIfNoEntry: false });
  return (progress?.mtimeMs ?? 0) < before || existsSync(blobFile(paths, `sha256:${name}`));
};

export interface DownloadSweep {
  readonly downloads: number;
  /** Disk bytes that are free now. */
  readonly bytes: number;
}

/**
 * Removes downloads that nobody works on: those of layers that are stored by now, and those untouched since a time;
 * default: three days ago.
 */
export const sweepDownloads = (paths: StorePaths, before: number = Date.now() - STALE_MS): DownloadSweep => {
  let [downloads, bytes] = [0, 0];
  for (const name of namesIn(paths.downloadsDir)) {
    if (!isGivenUp(paths, name, before)) continue;
    const claimed = tryClaim(join(paths.downloadsDir, name));
    if (claimed === undefined) continue;
    downloads += 1;
    bytes += bytesOf(join(paths.downloadsDir, name));
    claimed.remove();
  }
  return { downloads, bytes };
};
