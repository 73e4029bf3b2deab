import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { testDir } from '../../../test/root.ts';
import { busyboxTar } from '../../engine/test/busybox-image.ts';

const packageDir = join(dirname(fileURLToPath(import.meta.url)), '..');
export const program: string = join(packageDir, 'bin/tsc');

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array | string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** The command line, on an engine of one test; at its end its containers are removed. */
export interface Cli extends AsyncDisposable {
  readonly dir: string;
  at(name: string): string;
  /** Runs a command to its end, whatever that is. */
  run(words: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Runs a command that has to end well without a word of complaint, and gives what it printed. */
  ok(...words: string[]): Promise<string>;
  /** Starts a command, with pipes. */
  start(words: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess;
  /** Keeps credentials and settings of registries in `dir`, too. */
  readonly environment: Readonly<Record<string, string>>;
  /** The words of a shell for this engine's `tsc`. */
  readonly shellWords: string;
}

let archive: Buffer | undefined;

/** A command line with the image `busybox` in its store. */
export async function testCli(): Promise<Cli> {
  if (!existsSync(join(packageDir, 'dist/main.js'))) {
    throw new Error('packages/cli is not built, and these tests run what is built: run `npm run build` first');
  }
  const dir = mkdtempSync(join(testDir, 'c-'));
  const engine = ['--root', join(dir, 'root'), '--run-root', join(dir, 'run')];
  const environment = { DOCKER_CONFIG: join(dir, 'docker'), XDG_CONFIG_HOME: join(dir, 'config') };
  const start: Cli['start'] = (words, env = {}) =>
    spawn(program, [...engine, ...words], {
      env: { PATH: process.env['PATH'], TSC_TEST_RUN: process.env['TSC_TEST_RUN'], ...environment, ...env },
    });
  const run: Cli['run'] = (words, { input, env } = {}) => ended(start(words, env), input);
  const ok: Cli['ok'] = async (...words) => {
    const { code, stdout, stderr } = await run(words);
    if (code !== 0 || stderr !== '') throw new Error(`tsc ${words.join(' ')}: ${code}: ${stderr}`);
    return stdout;
  };
  archive ??= busyboxTar();
  const { code, stderr } = await run(['import', '-c', 'CMD ["sh"]', '-', 'busybox'], { input: archive });
  if (code !== 0) throw new Error(`tsc import: ${stderr}`);
  return {
    dir,
    at: (name) => join(dir, name),
    run,
    ok,
    start,
    environment,
    shellWords: [program, ...engine].join(' '),
    [Symbol.asyncDispose]: async () => {
      const ids = (await ok('ps', '-aq')).split('\n').filter(Boolean);
      if (ids.length > 0) await run(['rm', '-fv', ...ids]);
      const left = ['root/containers', 'run/containers'].flatMap((name) => readdirSync(join(dir, name)));
      rmSync(dir, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left behind: ${left.join(' ')}`);
    },
  };
}

/** Waits for a program that was started with pipes. */
export async function ended(child: ChildProcess, input?: Uint8Array | string): Promise<Ended> {
  const collect = (stream: NodeJS.ReadableStream | null): Buffer[] => {
    const chunks: Buffer[] = [];
    stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
    return chunks;
  };
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  // A program that ends without reading leaves a broken pipe.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      resolve(exitCode ?? -1);
    });
  });
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
