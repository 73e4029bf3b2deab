import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import type { PathStat } from './api.ts';
import { packBelow, packRoot, statBelow } from './archive.ts';
import { holdContainer } from './container-hold.ts';
import { readContainerRecord } from './container-record.ts';
import { mountRoot } from './container-root.ts';
import type { Context } from './context.ts';
import { EngineError, isEngineError } from './errors.ts';
import { containerPaths } from './layout.ts';
import { openRunningProcess } from './running-process.ts';
import { observe } from './status.ts';

const STATE_POLL_MS = 5;

/** A container's files, open for reading and writing below `fd`. */
export interface ContainerFiles extends Disposable {
  readonly fd: number;
}

/**
 * Opens a container's files: those its processes see if it runs; its own overlay if it doesn't, and then under its lock.
 *
 * @throws EngineError `ENGINE_NO_SUCH_CONTAINER`
 */
export async function openFiles(context: Context, id: string, signal?: AbortSignal): Promise<ContainerFiles> {
  for (;;) {
    const files = openRunning(context, id) ?? (await openStopped(context, id, signal));
    if (files !== undefined) return files;
    await sleep(STATE_POLL_MS, undefined, { signal }); // it ends or starts just now
  }
}

function openRunning(context: Context, id: string): ContainerFiles | undefined {
  const paths = containerPaths(context.layout, id);
  const record = readContainerRecord(paths);
  const seen = record === undefined ? undefined : observe(paths, record);
  if (seen?.status !== 'running') return undefined;
  try {
    const running = openRunningProcess(context.layout, id, seen.hostPid);
    return {
      fd: running.rootFd,
      [Symbol.dispose]: () => {
        running[Symbol.dispose]();
      },
    };
  } catch (error) {
    if (isEngineError(error) && error.code === 'ENGINE_CONTAINER_NOT_RUNNING') return undefined;
    throw error;
  }
}

async function openStopped(
  context: Context,
  id: string,
  signal: AbortSignal | undefined,
): Promise<ContainerFiles | undefined> {
  using undo = new DisposableStack();
  const held = undo.use(await holdContainer(context, id, signal));
  // Mounted a second time, an overlay in use would lose what is written to it.
  if (observe(containerPaths(context.layout, id), held.record).status === 'running') return undefined;
  const { fd } = undo.use(mountRoot(context.layout, held.record));
  const kept = undo.move();
  return {
    fd,
    [Symbol.dispose]: () => {
      kept.dispose();
    },
  };
}

/** Packs a path; the files stay open until the archive is closed. @throws EngineError `ENGINE_NO_SUCH_PATH` */
export async function readPath(
  opened: Promise<ContainerFiles>,
  path: string,
): Promise<{ readonly stat: PathStat; readonly archive: Readable }> {
  using undo = new DisposableStack();
  const { fd } = undo.use(await opened);
  const stat = statBelow(fd, path);
  if (stat === undefined) {
    throw new EngineError('ENGINE_NO_SUCH_PATH', `could not find the file ${path} in the container`, { path });
  }
  const kept = undo.move();
  const release = (): void => {
    kept.dispose();
  };
  return { stat, archive: packBelow(fd, path, release) }; // which releases what it can't pack, too
}

/** Packs all of a container's files; they stay open until the archive is closed. */
export async function readAll(opened: Promise<ContainerFiles>): Promise<Readable> {
  const files = await opened;
  return packRoot(files.fd, () => {
    files[Symbol.dispose]();
  });
}
