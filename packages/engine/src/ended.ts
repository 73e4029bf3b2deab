import { setTimeout as sleep } from 'node:timers/promises';

import { cleanUpAfterEnd } from './container-end.ts';
import { holdContainer } from './container-hold.ts';
import type { ContainerRecord } from './container-record.ts';
import { readContainerRecord, updateState } from './container-record.ts';
import { closeContext, openContext } from './context.ts';
import type { Context } from './context.ts';
import { isEngineError } from './errors.ts';
import { containerPaths } from './layout.ts';
import type { ContainerPaths, Layout } from './layout.ts';
import { restartDelayMs, shouldRestart } from './restart-policy.ts';
import { startRecorded } from './starting.ts';

/** While a start is waited for, how often it is looked whether it is still wanted. */
const LOOK_MS = 200;
/** As which end a start counts that failed, for policies that ask. */
const FAILED_START = 128;

type ContainerPlace = Layout & { readonly id: string };

/** Cleans up after a container. @returns whether it is to be started again */
export async function cleanUpEnded({ id, ...layout }: ContainerPlace): Promise<boolean> {
  const context = await openContext(layout);
  try {
    return await cleanUpAfterEnd(context, id);
  } finally {
    await closeContext(context);
  }
}

/** Starts a container again when its delay is over, and as often as its policy asks if that fails. */
export async function restartEnded({ id, ...layout }: ContainerPlace): Promise<void> {
  const context = await openContext(layout);
  try {
    while ((await isDue(containerPaths(layout, id))) && !(await startAgain(context, id)));
  } finally {
    await closeContext(context);
  }
}

/** Waits out the delay. Says no as soon as somebody has stopped, started or removed the container. */
async function isDue(paths: ContainerPaths): Promise<boolean> {
  const record = readContainerRecord(paths);
  if (record === undefined) return false;
  const due = Date.now() + restartDelayMs(record);
  const isWaiting = (): boolean => readContainerRecord(paths)?.state.restarting === true;
  while (isWaiting()) {
    const restMs = due - Date.now();
    if (restMs <= 0) return true;
    await sleep(Math.min(restMs, LOOK_MS));
  }
  return false;
}

/** @returns whether nothing is left to do: it runs, or is not to be tried again */
async function startAgain(context: Context, id: string): Promise<boolean> {
  try {
    using held = await holdContainer(context, id);
    return held.record.state.restarting ? await startHeld(context, held.record) : true;
  } catch (error) {
    if (isEngineError(error) && error.code === 'ENGINE_NO_SUCH_CONTAINER') return true;
    throw error;
  }
}

async function startHeld(context: Context, record: ContainerRecord): Promise<boolean> {
  const paths = containerPaths(context.layout, record.id);
  const counted = updateState(paths, record, { restartCount: record.state.restartCount + 1 });
  try {
    const { kept } = await startRecorded(context, paths, { record: counted, options: {} });
    kept.connection.close(); // its own monitor sees to its end
    return true;
  } catch {
    const failed = readContainerRecord(paths) ?? counted; // it has the reason
    const restarting = shouldRestart(failed, FAILED_START);
    const now = new Date().toISOString();
    updateState(paths, failed, { phase: 'ended', restarting, startedAt: now, finishedAt: now });
    return !restarting;
  }
}
