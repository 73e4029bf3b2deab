import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 30_000;

/** A server that runs for the bench. Disposing ends it and waits until it has ended. */
export interface Daemon extends AsyncDisposable {
  readonly pid: number;
}

export interface DaemonOptions {
  readonly logFile: string;
  /** Resolves when the server answers, and rejects until it does. */
  readonly answers: () => Promise<unknown>;
}

export async function startDaemon(program: string, args: readonly string[], options: DaemonOptions): Promise<Daemon> {
  const log = openSync(options.logFile, 'w');
  const child = spawn(program, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = once(child, 'exit');
  const daemon: Daemon = {
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await options.answers();
      return daemon;
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`${program} has ended: see ${options.logFile}`, { cause: error });
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** Debian's docker-registry, on loopback. */
export interface BenchRegistry extends AsyncDisposable {
  readonly address: string;
  /** Forgets everything that was pushed. */
  readonly reset: () => void;
}

export async function startRegistry(dir: string, port: number): Promise<BenchRegistry> {
  const address = `127.0.0.1:${port}`;
  const config = join(dir, 'config.yml');
  const storage = join(dir, 'storage');
  mkdirSync(storage, { recursive: true });
  writeFileSync(
    config,
    `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${storage}}}
http: {addr: '${address}'}
`,
  );
  const daemon = await startDaemon('docker-registry', ['serve', config], {
    logFile: join(dir, 'log'),
    answers: () => fetch(`http://${address}/v2/`),
  });
  return {
    address,
    reset: () => {
      rmSync(join(storage, 'docker'), { recursive: true, force: true });
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}
