import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import type { JoinTarget } from '@tsc/cgroups';

export interface Member extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Resolves when it has ended, to its exit code or signal, and what it wrote. */
  readonly ended: Promise<{ readonly status: number | NodeJS.Signals | null; readonly output: string }>;
}

/** The shell has one thread, so it may write to `tasks`; `$0` is not used. */
const JOIN = 'for file; do echo 0 >"$file" || exit 99; done;';

/** Starts a shell that joins the cgroup and then runs `script`. Disposing it kills it. */
export function startMember(cgroup: { joinTargets(): readonly JoinTarget[] }, script: string): Member {
  const targets = cgroup.joinTargets().map(({ path }) => path);
  const child = spawn('/bin/sh', ['-c', `${JOIN} ${script}`, 'sh', ...targets], { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => chunks.push(text));
  const ended = once(child, 'close').then(() => ({
    status: child.exitCode ?? child.signalCode,
    output: chunks.join(''),
  }));
  return {
    child,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Asks again every few milliseconds until it is so; fails after ten seconds. */
export async function eventually(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not within ten seconds: ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
