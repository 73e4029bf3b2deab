import type { Readable } from 'node:stream';

import type { PathStat } from './api.ts';
import { packBelow, packRoot, statBelow } from './archive.ts';
import { holdContainer } from './container-hold.ts';
import { readContainerRecord } from './container-record.ts';
import { mountRoot } from './container-root.ts';
import type { Context } from './context.ts';
import { EngineError } from './errors.ts';
import { containerPaths } from './layout.ts';
import { openRunningProcess } from './running-process.ts';
import { observe } from './status.ts';

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
  const paths = containerPaths(context.layout, id);
  const record = readContainerRecord(paths);
  const { status, hostPid } = record === undefined ? { status: 'exited', hostPid: 0 } : observe(paths, record);
  if (status === 'running') {
    const running = openRunningProcess(context.layout, id, hostPid);
    return {
      fd: running.rootFd,
      [Symbol.dispose]: () => {
        running[Symbol.dispose]();
      },
    };
  }
  using undo = new DisposableStack();
  const held = undo.use(await holdContainer(context, id, signal));
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
