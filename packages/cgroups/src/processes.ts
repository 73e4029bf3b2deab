import { childDirectories } from './directory.ts';
import { CgroupError, errnoOf } from './errors.ts';
import { readInterfaceFile, readOptional } from './interface-file.ts';

const PROCS = 'cgroup.procs';

/**
 * The processes of a group and of those below it, as this pid namespace numbers them.
 *
 * @throws {@link CgroupError} `CGROUP_NOT_FOUND`
 */
export function listPids(directory: string): readonly number[] {
  return [...new Set([...parsePids(readInterfaceFile(`${directory}/${PROCS}`)), ...pidsBelow(directory)])];
}

// A child group may be removed while we look.
const pidsBelow = (directory: string): readonly number[] =>
  childDirectories(directory).flatMap((child) => [
    ...parsePids(readOptional(`${child}/${PROCS}`) ?? ''),
    ...pidsBelow(child),
  ]);

// A process of a pid namespace that we do not see has number 0 here, and kill(0) would mean our own process group.
const parsePids = (text: string): readonly number[] =>
  text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);

/** More rounds than any fork bomb has survived; the next call goes on. */
const MAX_ROUNDS = 100;

/** Sends SIGKILL to all processes of a group, and to those they made meanwhile. They may still be ending afterwards. */
export function killProcesses(directory: string): void {
  const signalled = new Set<number>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const pids = listPids(directory).filter((pid) => !signalled.has(pid));
    if (pids.length === 0) return;
    for (const pid of pids) {
      signalled.add(pid);
      kill(pid);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === 'ESRCH') return; // it ended by itself
    throw new CgroupError('CGROUP_WRITE_REFUSED', `cannot kill process ${String(pid)}: ${String(errno)}`, {
      errno,
      cause,
    });
  }
}
