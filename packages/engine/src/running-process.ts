import { closeSync, constants, openSync, readFileSync } from 'node:fs';

import { O_PATH, hasCode, pidfd_open, pidfd_send_signal } from '@tsc/sys';

import { cgroupPath } from './cgroup.ts';
import { EngineError } from './errors.ts';
import type { Layout } from './layout.ts';
import { readIfThere } from './record-file.ts';

/** The first process of a running container, held so that its number can't come to mean another one. */
export interface RunningProcess extends Disposable {
  readonly pidfd: number;
  /** The container's root as the process sees it. */
  readonly rootFd: number;
}

export const notRunning = (id: string): EngineError =>
  new EngineError('ENGINE_CONTAINER_NOT_RUNNING', `container ${id} is not running`, { containerId: id });

/**
 * Takes hold of a container's first process and its root.
 *
 * The number may have gone to somebody else since it was read, whose root would be the host's. So what it means is told
 * by its cgroup, and that all of this was about one process by its pidfd, which was opened first and still finds it last.
 *
 * @throws EngineError `ENGINE_CONTAINER_NOT_RUNNING`
 */
export function openRunningProcess(layout: Layout, id: string, hostPid: number): RunningProcess {
  using undo = new DisposableStack();
  try {
    const pidfd = undo.adopt(pidfd_open(hostPid), closeSync);
    if (!isInCgroup(hostPid, cgroupPath(layout, id))) throw notRunning(id);
    const root = openSync(`/proc/${String(hostPid)}/root`, O_PATH | constants.O_DIRECTORY);
    const rootFd = undo.adopt(root, closeSync);
    pidfd_send_signal(pidfd, 0);
    const kept = undo.move();
    return {
      pidfd,
      rootFd,
      [Symbol.dispose]: () => {
        kept.dispose();
      },
    };
  } catch (error) {
    throw hasCode(error, 'ESRCH', 'ENOENT') ? notRunning(id) : error;
  }
}

const isInCgroup = (hostPid: number, path: string): boolean =>
  readFileSync(`/proc/${String(hostPid)}/cgroup`, 'utf8')
    .split('\n')
    .some((line) => `${line}/`.includes(`${path}/`));

/** Whether a process has ended, though perhaps nobody has taken note yet. */
export function hasEnded(hostPid: number): boolean {
  const status = readIfThere(`/proc/${String(hostPid)}/status`);
  return status === undefined || /^State:\t[ZX]/m.test(status);
}
