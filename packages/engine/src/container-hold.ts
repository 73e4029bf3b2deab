import { setTimeout as sleep } from 'node:timers/promises';

import { hasCode } from '@tsc/sys';

import { cleanUp } from './cleaning.ts';
import type { ContainerRecord } from './container-record.ts';
import { readContainerRecord } from './container-record.ts';
import type { Context } from './context.ts';
import { EngineError } from './errors.ts';
import { containerPaths } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import { isLocked, lockDirectory } from './lock.ts';
import type { FileLock } from './lock.ts';
import { observe } from './status.ts';

const MONITOR_POLL_MS = 5;

export const noSuchContainer = (id: string): EngineError =>
  new EngineError('ENGINE_NO_SUCH_CONTAINER', `no such container: ${id}`);

/** A container under its lock, its record as it is now. */
export interface HeldContainer extends Disposable {
  readonly record: ContainerRecord;
  /** Whether it was only now that somebody cleaned up after it. */
  readonly cleaned: boolean;
}

/** Takes a container's lock, whatever state it is in. @throws EngineError `ENGINE_NO_SUCH_CONTAINER` */
export async function lockContainer(
  layout: Context['layout'],
  id: string,
  signal?: AbortSignal,
): Promise<HeldContainer> {
  const paths = containerPaths(layout, id);
  const held = await lockOf(paths, id, signal);
  try {
    const record = readContainerRecord(paths);
    if (record === undefined) throw noSuchContainer(id);
    return {
      record,
      cleaned: false,
      [Symbol.dispose]: () => {
        held[Symbol.dispose]();
      },
    };
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

async function lockOf(paths: ContainerPaths, id: string, signal: AbortSignal | undefined): Promise<FileLock> {
  try {
    return await lockDirectory(paths.dir, { signal });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw noSuchContainer(id);
    throw error;
  }
}

/**
 * Takes the lock of a container that either runs, or has ended and been cleaned up after. What a killed engine left is
 * finished here. A monitor that is still setting up a container whose engine was killed, or that waits until its engine
 * or cleanup command has cleaned up, is waited for: without the lock, which they need.
 *
 * @throws EngineError `ENGINE_NO_SUCH_CONTAINER`
 */
export async function holdContainer(context: Context, id: string, signal?: AbortSignal): Promise<HeldContainer> {
  const paths = containerPaths(context.layout, id);
  for (;;) {
    const held = await lockContainer(context.layout, id, signal);
    try {
      const record = await settle(context, paths, held.record);
      if (record !== undefined) {
        return {
          record,
          cleaned: record !== held.record,
          [Symbol.dispose]: () => {
            held[Symbol.dispose]();
          },
        };
      }
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
    held[Symbol.dispose]();
    await sleep(MONITOR_POLL_MS, undefined, { signal });
  }
}

async function settle(
  context: Context,
  paths: ContainerPaths,
  record: ContainerRecord,
): Promise<ContainerRecord | undefined> {
  if (observe(paths, record).status === 'running') return record;
  return isLocked(paths.runLock) ? undefined : await cleanUp(context, paths, record);
}
