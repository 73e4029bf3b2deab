import { closeSync, constants, openSync, readFileSync } from 'node:fs';

import { memfd_create, __WALL, P_PIDFD, spawn, waitid, WEXITED } from '../src/index.ts';
import type { WaitResult } from '../src/index.ts';

export interface Finished {
  readonly result: WaitResult | undefined;
  readonly output: string;
}

/** Runs a shell script with {@link spawn}: no input, both outputs collected, `fds` from descriptor 3 on. */
export function runShell(script: string, fds: readonly number[] = []): Finished {
  using descriptors = new DisposableStack();
  const keep = (fd: number): number => descriptors.adopt(fd, closeSync);
  const output = keep(memfd_create('output', 0));
  const { pidfd } = spawn({
    executable: keep(openSync('/bin/sh', 'r')),
    argv: ['sh', '-c', script],
    envp: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    fds: [keep(openSync('/dev/null', constants.O_RDONLY)), output, output, ...fds],
  });
  keep(pidfd);
  const result = waitid(P_PIDFD, pidfd, WEXITED | __WALL);
  return { result, output: readFileSync(`/proc/self/fd/${String(output)}`, 'utf8') };
}
