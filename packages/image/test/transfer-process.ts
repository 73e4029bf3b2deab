import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** A pull or push in a process of its own, which can be killed. */
export interface TransferProcess {
  readonly child: ChildProcess;
  /** `[0, null]` when it was done, `[null, 'SIGKILL']` when it was killed. */
  readonly exited: Promise<readonly unknown[]>;
}

export const startTransfer = (verb: 'pull' | 'push', rootDir: string, reference: string): TransferProcess => {
  const hook = new URL('./resolve-sources.mjs', import.meta.url).href;
  const program = new URL('./transfer-program.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', hook, program, verb, rootDir, reference], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { child, exited: once(child, 'exit') };
};
