import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import type { MonitorConnection } from '@tsc/runtime';

import { cleanUp, discard } from './cleaning.ts';
import { holdContainer, lockContainer } from './container-hold.ts';
import type { HeldContainer } from './container-hold.ts';
import type { Context } from './context.ts';
import { isEngineError } from './errors.ts';
import { containerPaths } from './layout.ts';
import { isLocked } from './lock.ts';
import { UNKNOWN_EXIT_CODE, observe } from './status.ts';

/** How long a monitor that was killed may take to let go of its lock after its connections: both go at once. */
const LOSS_LOOKS = 10;
const LOSS_POLL_MS = 5;

async function ifThere(held: Promise<HeldContainer>): Promise<HeldContainer | undefined> {
  try {
    return await held;
  } catch (error) {
    if (isEngineError(error) && error.code === 'ENGINE_NO_SUCH_CONTAINER') return undefined;
    throw error;
  }
}

/**
 * Stays by a container until it has ended, cleans up after it and returns its exit code.
 *
 * @throws RuntimeError `RUNTIME_NO_MONITOR`: the connection was closed and the container runs on
 */
export async function followToEnd(context: Context, id: string, connection: MonitorConnection): Promise<number> {
  const exit = await connection.exit.catch(() => undefined);
  if (exit === undefined) return afterLoss(context, id, connection);
  const restarting = await cleanUpAfterEnd(context, id);
  // A restart is the cleanup command's: it may be due in a minute, when this engine is long closed.
  if (restarting) connection.close();
  else connection.cleaned();
  await connection.closed;
  return exit.exitCode;
}

/** Cleans up for the monitor, which waits for that. @returns whether the container is to be started again */
export async function cleanUpAfterEnd(context: Context, id: string): Promise<boolean> {
  using held = await ifThere(lockContainer(context.layout, id));
  if (held === undefined) return false;
  const ended = await cleanUp(context, containerPaths(context.layout, id), held.record);
  if (ended.state.restarting) return true;
  if (ended.spec.autoRemove === true) await discard(context, ended, { volumes: true });
  return false;
}

/** The connection has ended before its container: this engine left it, or somebody killed its monitor, and both with it. */
async function afterLoss(context: Context, id: string, connection: MonitorConnection): Promise<number> {
  const { runLock } = containerPaths(context.layout, id);
  for (let look = 0; look < LOSS_LOOKS && context.followed.has(connection); look += 1) {
    if (!isLocked(runLock)) return (await settleContainer(context, id)).exitCode;
    await sleep(LOSS_POLL_MS);
  }
  return (await connection.exit).exitCode;
}

export interface SettledContainer {
  readonly running: boolean;
  readonly exitCode: number;
}

/** Finishes what is left to do when a container has ended without anybody having cleaned up after it. */
export async function settleContainer(context: Context, id: string, signal?: AbortSignal): Promise<SettledContainer> {
  const paths = containerPaths(context.layout, id);
  using held = await ifThere(holdContainer(context, id, signal));
  if (held === undefined) return { running: false, exitCode: UNKNOWN_EXIT_CODE };
  const { record, cleaned } = held;
  if (observe(paths, record).status === 'running') return { running: true, exitCode: 0 };
  if (cleaned && record.state.restarting) startRestarter(context, id);
  if (cleaned && record.spec.autoRemove === true) await discard(context, record, { volumes: true });
  return { running: false, exitCode: record.state.exitCode };
}

/** A process that waits until a container's next start is due: it must outlive this one. */
export function startRestarter({ cleanupCommand: [program = '', ...args] }: Context, id: string): void {
  spawn(program, [...args, id, 'restart'], { detached: true, stdio: 'ignore', env: {} }).unref();
}
