import { cleanUp, discard } from './cleaning.ts';
import { readContainerRecord, updateState } from './container-record.ts';
import type { ContainerRecord } from './container-record.ts';
import { closeContext, openContext } from './context.ts';
import type { Context } from './context.ts';
import { containerPaths } from './layout.ts';
import type { Layout } from './layout.ts';
import { lockDirectory } from './lock.ts';
import { restartDelayMs } from './restart-policy.ts';
import { startRecorded } from './starting.ts';

/** Cleans up and says what is left to do: the record of a container that waits for its restart. */
async function settle(context: Context, id: string): Promise<ContainerRecord | undefined> {
  const paths = containerPaths(context.layout, id);
  using _held = await lockDirectory(paths.dir);
  const record = readContainerRecord(paths);
  if (record === undefined) return undefined;
  const ended = await cleanUp(context, paths, record);
  if (ended.state.restarting) return ended;
  if (ended.spec.autoRemove === true) discard(context, ended, { volumes: true });
  return undefined;
}

/** Starts a container again, unless somebody stopped or removed it while it waited. Says whether it needs another try. */
async function startAgain(context: Context, id: string): Promise<boolean> {
  const paths = containerPaths(context.layout, id);
  using _held = await lockDirectory(paths.dir);
  const record = readContainerRecord(paths);
  if (record?.state.restarting !== true) return false;
  const counted = updateState(paths, record, { restartCount: record.state.restartCount + 1 });
  try {
    const { kept } = await startRecorded(context, paths, { record: counted, options: {} });
    kept.connection.close(); // its own monitor sees to its end
    return false;
  } catch {
    // The record has the reason; a policy that goes on after failures goes on after this one.
    updateState(paths, counted, { phase: 'ended', restarting: true, finishedAt: new Date().toISOString() });
    return true;
  }
}

/** Cleans up after a container, and restarts it after its delay as often as its policy asks and the start fails. */
export async function cleanUpEnded({
  id,
  sleep,
  ...layout
}: Layout & { readonly id: string; readonly sleep: (ms: number) => Promise<unknown> }): Promise<void> {
  const context = await openContext(layout);
  try {
    let waiting = await settle(context, id);
    while (waiting !== undefined) {
      await sleep(restartDelayMs(waiting));
      if (!(await startAgain(context, id))) break;
      waiting = readContainerRecord(containerPaths(layout, id));
    }
  } finally {
    await closeContext(context);
  }
}
