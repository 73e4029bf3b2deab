import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import type { ContainerSpec } from '../src/index.ts';
import type { Layout } from '../src/layout.ts';

const sources = new URL('../../image/test/resolve-sources.mjs', import.meta.url).href;

/** Another process with an engine; it has said its first word when this resolves. */
export interface Child {
  readonly process: ChildProcess;
  readonly firstWord: string;
  /** Ends it with SIGKILL, whatever it is doing. */
  kill(): Promise<void>;
  /** Waits until it has ended by itself. */
  end(): Promise<void>;
}

export async function startChild(
  script: 'run-container' | 'run-stop-remove',
  { layout, spec, then = [] }: { readonly layout: Layout; readonly spec: ContainerSpec; readonly then?: string[] },
): Promise<Child> {
  const path = new URL(`./fixtures/${script}.ts`, import.meta.url).pathname;
  const args = ['--import', sources, path, layout.rootDir, layout.runDir, JSON.stringify(spec), ...then];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const closed = once(child, 'close');
  const [word] = (await Promise.race([once(child.stdout, 'data'), exit])) as [Buffer | number];
  if (!Buffer.isBuffer(word)) throw new Error(`${script} ended with ${String(word)}`);
  const end = async (): Promise<void> => {
    await exit;
    await closed;
  };
  return {
    process: child,
    firstWord: word.toString().trim(),
    kill: async () => {
      child.kill('SIGKILL');
      await end();
    },
    end,
  };
}
