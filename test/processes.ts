import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { testMarker } from './marker.ts';

export interface HostProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly startTime: string;
  readonly comm: string;
}

/**
 * This process, its descendants, and those that only come from it: with the run's marker in their environment, or a
 * `tsc-init` that holds a file of this run's directory. With `unmarkedInits` every `tsc-init` of the machine counts.
 */
export function ourProcesses({ unmarkedInits }: { readonly unmarkedInits: boolean }): HostProcess[] {
  const all = new Map(numbersIn('/proc').flatMap((pid) => readProcess(pid).map((found) => [pid, found] as const)));
  const descends = ({ pid, parentPid }: HostProcess): boolean => {
    if (pid === process.pid) return true;
    const parent = all.get(parentPid);
    return parent !== undefined && descends(parent);
  };
  const isOurInit = (found: HostProcess): boolean => isInit(found) && (unmarkedInits || holdsTestFile(found.pid));
  return [...all.values()].filter((found) => descends(found) || isMarked(found.pid) || isOurInit(found));
}

export const processLabel = ({ pid, startTime, comm }: HostProcess): string =>
  `${comm} (pid ${String(pid)}, started at tick ${startTime}, ${commandLine(pid)})`;

/** The namespaces that these processes and each thread of them are in. */
export function namespacesOf(processes: readonly HostProcess[]): string[] {
  const types = ['net', 'mnt', 'pid', 'ipc', 'uts', 'cgroup', 'user'];
  const tasks = processes.flatMap(({ pid }) => numbersIn(`/proc/${String(pid)}/task`));
  return [...new Set(tasks.flatMap((task) => types.flatMap((type) => linkOf(`/proc/${String(task)}/ns/${type}`))))];
}

function readProcess(pid: number): HostProcess[] {
  const stat = textOf(`/proc/${String(pid)}/stat`);
  const end = stat.lastIndexOf(')'); // the name may hold spaces and brackets of its own
  if (end < 0) return [];
  const fields = stat.slice(end + 2).split(' ');
  return [
    {
      pid,
      parentPid: Number(fields[1]),
      startTime: fields[19] ?? '',
      comm: stat.slice(stat.indexOf('(') + 1, end),
    },
  ];
}

const isInit = ({ pid, comm }: HostProcess): boolean =>
  comm.startsWith('tsc-init') || linkOf(`/proc/${String(pid)}/exe`).some((exe) => exe.startsWith('/memfd:'));

const isMarked = (pid: number): boolean =>
  textOf(`/proc/${String(pid)}/environ`)
    .split('\0')
    .includes(`TSC_TEST_RUN=${testMarker}`);

const holdsTestFile = (pid: number): boolean =>
  numbersIn(`/proc/${String(pid)}/fd`)
    .flatMap((fd) => linkOf(`/proc/${String(pid)}/fd/${String(fd)}`))
    .some((target) => target.includes(testMarker));

const commandLine = (pid: number): string =>
  textOf(`/proc/${String(pid)}/cmdline`)
    .split('\0')
    .join(' ')
    .trim() || 'no command line';

// Processes end while they are looked at: what cannot be read is not there.
const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};
const linkOf = (path: string): string[] => {
  try {
    return [readlinkSync(path)];
  } catch {
    return [];
  }
};
const numbersIn = (dir: string): number[] => {
  try {
    return readdirSync(dir).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
};
