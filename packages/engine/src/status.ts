import type { ContainerRecord } from './container-record.ts';
import type { ContainerStatus } from './inspect.ts';
import type { ContainerPaths } from './layout.ts';
import { isLocked } from './lock.ts';
import { readRecord } from './record-file.ts';

/** What the monitor wrote when the process started, and when it ended. */
export interface StartedFile {
  readonly pid: number;
  readonly startedAt: string;
}
export interface ExitFile {
  readonly exitCode?: number;
  readonly signal?: number;
  readonly finishedAt: string;
}

/** What can be seen of a container from its files and locks; nobody is asked and nothing is changed. */
export interface Observation {
  readonly status: ContainerStatus;
  readonly hostPid: number;
  readonly startedAt: string | undefined;
  readonly exit: ExitFile | undefined;
  /** Its monitor is there, and its process is not yet. */
  readonly starting: boolean;
  /** It ended and nobody has cleaned up after it yet. */
  readonly needsCleanup: boolean;
}

/** The exit code that Docker's users know for "ended, nobody knows how". */
export const UNKNOWN_EXIT_CODE = 255;

export const exitCodeOf = (exit: ExitFile | undefined): number =>
  exit === undefined ? UNKNOWN_EXIT_CODE : (exit.exitCode ?? 128 + (exit.signal ?? 0));

export function observe(paths: ContainerPaths, record: ContainerRecord): Observation {
  const idle = { hostPid: 0, startedAt: record.state.startedAt, exit: undefined, starting: false, needsCleanup: false };
  if (record.state.restarting) return { ...idle, status: 'restarting' };
  if (record.state.phase === 'created') return { ...idle, status: 'created' };
  if (record.state.phase === 'ended') return { ...idle, status: 'exited' };
  // The order matters: a monitor writes `exit` before it lets go of its lock.
  const kept = isLocked(paths.runLock);
  const exit = readRecord<ExitFile>(paths.exit);
  const started = readRecord<StartedFile>(paths.started);
  const startedAt = started?.startedAt ?? record.state.startedAt;
  if (kept && exit === undefined) {
    const starting = started === undefined;
    const status = starting ? 'created' : 'running';
    return { status, hostPid: started?.pid ?? 0, startedAt, exit, starting, needsCleanup: false };
  }
  return { status: 'exited', hostPid: 0, startedAt, exit, starting: false, needsCleanup: !kept };
}
