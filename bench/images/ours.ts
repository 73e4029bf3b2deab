import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { output } from '../command.ts';
import type { Peer } from './peers.ts';
import { noCost, type Transfer } from './transfer.ts';
import type { Answer, Task } from './task.ts';

/** The library, in a process of its own that lives through all rounds, as a server that uses it would. */
export interface Library extends AsyncDisposable {
  transfer(task: Task, reset: () => void): Transfer;
  perform(task: Task): Promise<void>;
}

export function startLibrary(): Library {
  const child = fork(join(import.meta.dirname, 'worker.mjs'));
  const exit = once(child, 'exit');
  const ended = exit.then((): never => {
    throw new Error('the process that uses the library has ended');
  });
  ended.catch(() => undefined); // whoever asks is told
  const ask = async (task: Task): Promise<Exclude<Answer, { failure: string }>> => {
    const said = once(child, 'message') as Promise<[Answer]>;
    child.send(task);
    const [answer] = await Promise.race([said, ended]);
    if ('failure' in answer) throw new Error(`${task.task}: ${answer.failure}`);
    return answer;
  };
  return {
    perform: async (task) => {
      await ask(task);
    },
    transfer: (task, reset) => {
      const cost = noCost();
      return {
        name: '@tsc/image',
        column: '@tsc/image',
        cost,
        start: async () => {
          const { peakBytes, loopDelayMs } = await ask(task);
          cost.peakBytes = Math.max(cost.peakBytes, peakBytes);
          cost.loopDelayMs = Math.max(cost.loopDelayMs ?? 0, loopDelayMs);
        },
        settle: () => {
          reset();
          return Promise.resolve();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      if (child.connected) child.disconnect();
      await exit;
    },
  };
}

const TSC = join(import.meta.dirname, '../../packages/cli/bin/tsc');

/** The command line, from starting Node to its end. */
export function commandLine({ dir, runDir }: { readonly dir: string; readonly runDir: string }): Peer {
  const rootDir = join(dir, 'tsc');
  const cli = [TSC, '--root', rootDir, '--run-root', join(runDir, 'tsc')];
  const reset = (): void => {
    rmSync(rootDir, { recursive: true, force: true });
    mkdirSync(rootDir, { recursive: true });
  };
  return {
    pull: (reference) => ({ commands: [[...cli, 'pull', '-q', reference]], reset }),
    push: (source, target) => {
      output(TSC, [...cli.slice(1), 'pull', '-q', source]);
      output(TSC, [...cli.slice(1), 'tag', source, target]);
      return { commands: [[...cli, 'push', '-q', target]], reset: () => undefined };
    },
    load: (archive) => ({ commands: [[...cli, 'load', '-q', '-i', archive]], reset }),
    [Symbol.asyncDispose]: () => {
      reset();
      return Promise.resolve();
    },
  };
}
