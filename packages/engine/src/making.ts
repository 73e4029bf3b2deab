import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';

import { createSnapshot } from '@tsc/overlay';
import type { SnapshotOptions } from '@tsc/overlay';
import { hasCode } from '@tsc/sys';

import { makeContainerId, releaseName, takeGeneratedName, takeName } from './container-name.ts';
import type { ContainerRecord } from './container-record.ts';
import type { ContainerSpec } from './container-spec.ts';
import type { Context } from './context.ts';
import { checkSpec, collectMounts, makeRecord } from './creation.ts';
import { containerPaths } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import { lockDirectory } from './lock.ts';
import type { FileLock } from './lock.ts';
import { removeAnonymous, resolveMounts } from './volumes.ts';

/**
 * A container that has everything but its record, under its lock: until the record is written nobody can see it.
 * Disposed without `keep`, it is as if it had never been; with `keep`, only the lock goes.
 */
export interface MadeContainer extends AsyncDisposable {
  readonly paths: ContainerPaths;
  readonly record: ContainerRecord;
  keep(): void;
}

/** An overlay's root directory is the upper one: it begins as that of the image is. */
function rootOf([topLayerDir]: readonly string[]): SnapshotOptions {
  if (topLayerDir === undefined) return {};
  const { mode, uid, gid } = lstatSync(topLayerDir);
  return { mode: mode & 0o7777, owner: { uid, gid } };
}

/** Makes a directory and locks it; again if somebody took it for an abandoned one in between. */
async function makeHeldDirectory(dir: string, signal: AbortSignal | undefined): Promise<FileLock> {
  for (;;) {
    mkdirSync(dir, { mode: 0o700 });
    try {
      const held = await lockDirectory(dir, { signal });
      if (existsSync(dir)) return held;
      held[Symbol.dispose]();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
}

/**
 * Makes a container's directory, name, snapshot and volumes.
 *
 * @throws EngineError `ENGINE_INVALID_SPEC`, `ENGINE_NAME_IN_USE`; ImageError `IMAGE_NOT_FOUND`
 */
export async function makeContainer(
  context: Context,
  spec: ContainerSpec,
  signal: AbortSignal | undefined,
): Promise<MadeContainer> {
  signal?.throwIfAborted();
  checkSpec(spec, availableParallelism());
  const image = await context.images.resolve(spec.image);
  const wanted = collectMounts(spec, image);
  const id = makeContainerId();
  const paths = containerPaths(context.layout, id);
  const parts = { id, name: '', spec, image, mounts: [], created: new Date() };
  makeRecord(parts); // refuses what can't be run, before anything is made
  await using undo = new AsyncDisposableStack();
  // The lock is let go last. A directory without a record that nobody holds is what a kill has left.
  const held = undo.use(await makeHeldDirectory(paths.dir, signal));
  undo.defer(() => {
    rmSync(paths.dir, { recursive: true, force: true });
  });
  const name = spec.name ?? takeGeneratedName(context.layout, id);
  if (spec.name !== undefined) takeName(context.layout, spec.name, id);
  undo.defer(() => {
    releaseName(context.layout, name, id);
  });
  createSnapshot(paths.dir, rootOf(image.layerDirs));
  const mounts = resolveMounts(context.layout, wanted);
  undo.defer(() => {
    removeAnonymous(context.layout, mounts);
  });
  const all = undo.move();
  let kept = false;
  return {
    paths,
    record: makeRecord({ ...parts, name, mounts }),
    keep: () => {
      kept = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (kept) held[Symbol.dispose]();
      else await all.disposeAsync();
    },
  };
}
