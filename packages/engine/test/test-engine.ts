import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';

import { openEngine } from '../src/index.ts';
import type { ContainerSpec, Engine, EngineOptions, LogEntry } from '../src/index.ts';
import { kernelName } from '../src/layout.ts';
import type { Layout } from '../src/layout.ts';
import { importBusybox } from './busybox-image.ts';
import type { ImportRequest } from './busybox-image.ts';

/** An engine of one test on directories of its own; at its end nothing may be left of what it made. */
export interface TestEngine extends AsyncDisposable {
  readonly engine: Engine;
  readonly layout: Layout;
  readonly dir: string;
  at(name: string): string;
  /** Another engine on the same directories, as another process would have it. */
  another(): Promise<Engine>;
}

export async function testEngine(image: ImportRequest = {}, options: EngineOptions = {}): Promise<TestEngine> {
  const dir = mkdtempSync(join(tmpdir(), 'engine-'));
  const layout = { rootDir: join(dir, 'root'), runDir: join(dir, 'run'), ...options } as Layout;
  const engine = await openEngine(layout);
  const others: Engine[] = [];
  await importBusybox(engine.images, image);
  return {
    engine,
    layout,
    dir,
    at: (name) => join(dir, name),
    another: async () => {
      const other = await openEngine(layout);
      others.push(other);
      return other;
    },
    [Symbol.asyncDispose]: async () => {
      await removeAll(engine);
      for (const other of others) await other.close();
      await engine.close();
      await noCleanupRuns(layout);
      const left = leftovers(layout);
      rmSync(dir, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left behind:\n  ${left.join('\n  ')}`);
    },
  };
}

/** `rm -f` of everything, twice where something went by itself meanwhile. */
export async function removeAll(engine: Engine): Promise<void> {
  for (const { id } of engine.listContainers({ all: true })) {
    try {
      await engine.container(id).remove({ force: true, volumes: true });
    } catch (error) {
      if (!(Error.isError(error) && 'code' in error && error.code === 'ENGINE_NO_SUCH_CONTAINER')) throw error;
    }
  }
}

const entries = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);

/**
 * A container whose engine was killed is cleaned up by a command of its monitor, which opens an engine like any other:
 * until it ends, it may hold the network.
 */
export async function noCleanupRuns({ rootDir }: Layout): Promise<void> {
  const isOfEngine = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(2).includes(rootDir);
    } catch {
      return false; // it ended meanwhile
    }
  };
  await until(
    'the end of cleanup commands',
    () => !readdirSync('/proc').some((name) => /^\d+$/.test(name) && isOfEngine(name)),
  );
}

/** What there still is of an engine's containers, on disk and in the kernel, when all of them are gone. */
export function leftovers(layout: Layout): string[] {
  const name = kernelName(layout);
  const { rootDir, runDir } = layout;
  const below = (dir: string): string[] => entries(dir).map((entry) => join(dir, entry));
  return [
    ...below(join(rootDir, 'containers')),
    ...below(join(rootDir, 'names')),
    ...below(join(runDir, 'containers')),
    ...below(join(runDir, 'rootfs')),
    ...below(join(runDir, 'network/leases')),
    ...(existsSync(join(runDir, 'network/bridge.json')) ? ['bridge.json'] : []),
    ...entries('/sys/class/net').filter((link) => link.startsWith(name)),
    ...cgroupDirectories(name),
    ...rules().filter((line) => line.includes(name)),
  ];
}

function cgroupDirectories(name: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => join(line.split(' ')[4] ?? '', name))
    .filter((dir) => existsSync(dir));
}

export const rules = (): string[] => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).split('\n');

/** Opens what a process opens once and keeps: tsc-init's sealed copy, the null device. Say it in `beforeAll`. */
export async function warmUp(): Promise<void> {
  await using t = await testEngine();
  await sh(t.engine, 'true');
}

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a shell script (or what `spec` says instead) in a container that is removed at its end. */
export async function sh(engine: Engine, script: string, spec: Partial<ContainerSpec> = {}): Promise<Ended> {
  const running = await engine.run(
    { image: 'busybox', command: ['sh', '-c', script], autoRemove: true, network: 'none', ...spec },
    { attach: true },
  );
  const { attachment } = running;
  if (attachment === undefined) throw new Error('run gave no attachment');
  const [stdout, stderr, exitCode] = await Promise.all([
    text(attachment.stdout),
    attachment.stderr === undefined ? '' : text(attachment.stderr),
    attachment.exitCode,
  ]);
  return { exitCode, stdout, stderr };
}

export async function text(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export async function logText(entriesOf: AsyncIterable<LogEntry>): Promise<string> {
  let all = '';
  for await (const entry of entriesOf) all += entry.text;
  return all;
}

/** Looks again and again until `look` gives something; a test that waits in vain fails by its own words. */
export async function until<T>(what: string, look: () => T | Promise<T>, timeoutMs = 10_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** How a call failed, as `code: message`; or that it didn't. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'it succeeded';
  } catch (error) {
    if (!Error.isError(error)) throw error;
    return `${'code' in error ? String(error.code) : error.name}: ${error.message}`;
  }
}
