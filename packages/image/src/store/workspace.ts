import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { digestHex, type Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { measureTree, namesIn } from './disk.ts';
import type { CollectOptions } from './garbage.ts';
import { locked, tryLock } from './lock.ts';
import { blobFile, layerDir, type StorePaths } from './paths.ts';

/** Content that a garbage collection must spare. */
export interface Kept {
  readonly blobs: ReadonlySet<string>;
  readonly layers: ReadonlySet<string>;
}

const LOCK = 'lock';
const KEEP_BLOBS = 'keep-blobs';
const KEEP_LAYERS = 'keep-layers';

/**
 * A private directory for one write to the store, on the store's file system. Content is made here and renamed into
 * place at the end. What the write relies on, but found already stored, it holds by a file here, which garbage
 * collections of other processes honour. When the owner dies, its lock goes, and {@link sweepWorkspaces} removes it.
 */
export class Workspace implements AsyncDisposable {
  readonly dir: string;
  readonly #paths: StorePaths;
  readonly #lock: Disposable;

  private constructor(paths: StorePaths, dir: string, held: Disposable) {
    this.#paths = paths;
    this.dir = dir;
    this.#lock = held;
  }

  static async create(paths: StorePaths, signal?: AbortSignal): Promise<Workspace> {
    const dir = join(paths.workDir, randomUUID());
    // Under the store's lock, so that no sweep sees the directory before its owner has locked it.
    return locked(paths.lockFile, signal, () => {
      for (const name of ['', KEEP_BLOBS, KEEP_LAYERS]) mkdirSync(join(dir, name), { mode: 0o700 });
      const own = tryLock(join(dir, LOCK));
      if (own === undefined) throw new ImageError('STORE_INVALID', `new workspace ${dir} is locked by somebody else`);
      return new Workspace(paths, dir, own);
    });
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** True when the blob is stored; it then stays stored until this workspace goes. */
  holdBlob(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    return this.#hold(blobFile(this.#paths, digest), join(KEEP_BLOBS, digestHex(digest)), signal);
  }

  /** True when the layer is unpacked; it then stays until this workspace goes. */
  holdLayer(chainId: Digest, signal?: AbortSignal): Promise<boolean> {
    return this.#hold(layerDir(this.#paths, chainId), join(KEEP_LAYERS, digestHex(chainId)), signal);
  }

  /** Keeps a blob that was just stored. Call under the store's lock. */
  keepBlob(digest: Digest): void {
    writeFileSync(this.path(join(KEEP_BLOBS, digestHex(digest))), '');
  }

  #hold(path: string, name: string, signal: AbortSignal | undefined): Promise<boolean> {
    return locked(this.#paths.lockFile, signal, () => {
      if (!existsSync(path)) return false;
      writeFileSync(this.path(name), '');
      return true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await removeWorkspace(this.#paths, this.dir);
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }
}

/** The lock file goes last, and under the store's lock, so that a sweep never meets a directory without its lock. */
const removeWorkspace = async (paths: StorePaths, dir: string): Promise<void> => {
  for (const name of readdirSync(dir)) {
    if (name !== LOCK) await rm(join(dir, name), { recursive: true, force: true });
  }
  await locked(paths.lockFile, undefined, () => {
    rmSync(dir, { recursive: true, force: true });
  });
};

/** What running writes hold. Call under the store's lock. */
export const heldContent = (paths: StorePaths): Kept => {
  const workspaces = namesIn(paths.workDir).map((name) => join(paths.workDir, name));
  return {
    blobs: new Set(workspaces.flatMap((dir) => namesIn(join(dir, KEEP_BLOBS)))),
    layers: new Set(workspaces.flatMap((dir) => namesIn(join(dir, KEEP_LAYERS)))),
  };
};

/** Removes the workspaces of writers that died; returns how many. Who wants to know is told how many disk bytes are free. */
export const sweepWorkspaces = async (
  paths: StorePaths,
  { signal, onBytes }: Pick<CollectOptions, 'signal' | 'onBytes'> = {},
): Promise<number> => {
  using dead = new DisposableStack();
  const dirs: string[] = [];
  await locked(paths.lockFile, signal, () => {
    for (const name of namesIn(paths.workDir)) {
      const own = tryLock(join(paths.workDir, name, LOCK));
      if (own === undefined) continue;
      dead.use(own);
      dirs.push(join(paths.workDir, name));
    }
  });
  for (const dir of dirs) {
    if (onBytes !== undefined) onBytes(await measureTree(dir, signal));
    await removeWorkspace(paths, dir);
  }
  return dirs.length;
};
