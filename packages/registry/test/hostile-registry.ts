import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import type { RegistryLimits } from '../src/index.ts';
import { programEnvironment } from './program.ts';

/** A registry that is looked at from outside while others are hostile to it. */
export interface HostileTarget extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What it said about failures that are not its clients' doing. */
  readonly failures: readonly string[];
  /** Undefined while it runs. */
  readonly exit: () => string | undefined;
  readonly open: () => Socket;
  readonly memoryBytes: () => Promise<number>;
  readonly descriptors: () => Promise<number>;
  /** Lets it end by itself, and tells how it did. */
  readonly close: () => Promise<string>;
}

export interface HostileTargetOptions {
  readonly rootDir: string;
  /** What Node makes of the program's sources is kept there. */
  readonly cacheDir: string;
  readonly limits?: Partial<RegistryLimits>;
}

const exitOf = ({ exitCode, signalCode }: ChildProcess): string | undefined =>
  exitCode === null && signalCode === null ? undefined : String(signalCode ?? exitCode);

export async function startHostileTarget({
  rootDir,
  cacheDir,
  limits = {},
}: HostileTargetOptions): Promise<HostileTarget> {
  const program = join(import.meta.dirname, 'hostile-program.ts');
  const child = spawn(process.execPath, [program, rootDir, JSON.stringify(limits)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: programEnvironment(cacheDir),
  });
  const exited = once(child, 'exit');
  const failures: string[] = [];
  const lines = createInterface({ input: child.stdout });
  const [url] = (await once(lines, 'line')) as [string];
  lines.on('line', (line) => failures.push(line));
  const port = Number(new URL(url).port);
  const proc = join('/proc', String(child.pid));
  const end = async (): Promise<string> => {
    child.stdin.end();
    await exited;
    return exitOf(child) ?? '';
  };
  return {
    url,
    port,
    failures,
    exit: () => exitOf(child),
    open: () => {
      const socket = connect(port, '127.0.0.1');
      // To be hung up on is what those who misbehave are here for.
      socket.on('error', () => undefined);
      return socket;
    },
    memoryBytes: async () => {
      const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(join(proc, 'status'), 'utf8'))?.[1];
      return Number(kilobytes) * 1024;
    },
    descriptors: async () => (await readdir(join(proc, 'fd'))).length,
    close: end,
    [Symbol.asyncDispose]: async () => {
      if (exitOf(child) !== undefined) return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Waits until something is true, and fails when it doesn't become so. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    await sleep(20);
    if (performance.now() > deadline) throw new Error(`${what}: not within ${String(timeoutMs)} ms`);
  }
}
