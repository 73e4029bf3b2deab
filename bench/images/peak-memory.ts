import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const LOOK_EVERY_MS = 25;

/** Watches the most memory that any one process of a tree has had resident; disposing stops. */
export interface PeakMemory extends Disposable {
  bytes(): number;
}

/**
 * Watches a process and its descendants. The kernel keeps the peak itself (`VmHWM`), so what matters is only to look once
 * before a process ends.
 */
export function watchPeak(pid: number): PeakMemory {
  let most = 0;
  const look = (): void => {
    most = Math.max(most, ...treeOf(pid).map(peakOf));
  };
  for (const each of treeOf(pid)) resetPeak(each);
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    bytes: () => {
      look();
      return most;
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}

/** The peak of a process since it began, or since {@link resetPeak}. 0 when it has ended. */
export function peakOf(pid: number): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`)) ?? [];
  return Number(kilobytes) * 1024;
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // It has ended.
  }
}

function treeOf(pid: number): number[] {
  const children = tasksOf(pid).flatMap((task) =>
    textOf(`/proc/${pid}/task/${task}/children`)
      .split(' ')
      .filter((word) => word !== '')
      .map(Number),
  );
  return [pid, ...children.flatMap(treeOf)];
}

function tasksOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
