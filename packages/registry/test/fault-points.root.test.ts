import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { expect, test } from '@jest/globals';

import { describeRoot, testDir } from '../../../test/root.ts';
import { openFileSystemStorage } from '../src/index.ts';
import { scenarios } from './fault-scenarios.ts';
import type { Fact } from './fault-scenarios.ts';
import { programEnvironment } from './program.ts';
import { expectFacts, expectNoOrphans, expectWhole } from './store-check.ts';

/** The calls that change a file system; data that isn't synced yet is nobody's. */
const CALLS = [
  ...['openat', 'fsync', 'fdatasync', 'ftruncate', 'copy_file_range', 'utimensat'],
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir'],
];

/** The `count`th of some call of the kernel that a scenario makes, where it is killed before that has any effect. */
interface Step {
  readonly call: string;
  readonly count: number;
}

/** What a scenario says of itself. */
interface Stage {
  readonly type: 'ready' | 'done';
}

const isStage = (said: Fact | Stage): said is Stage => said.type === 'ready' || said.type === 'done';

interface Broken {
  /** False when it ended by itself: it has fewer steps. */
  readonly killed: boolean;
  readonly acknowledged: readonly Fact[];
}

interface Place {
  readonly rootDir: string;
  readonly cacheDir: string;
}

/** Runs a scenario under strace, which does with it what its words say. */
async function runTraced({ rootDir, cacheDir }: Place, name: string, words: readonly string[]): Promise<Broken> {
  const program = join(import.meta.dirname, 'fault-program.ts');
  // One thread for files, so that their calls have an order, and are counted together.
  const env = { ...programEnvironment(cacheDir), UV_THREADPOOL_SIZE: '1' };
  const child = spawn(process.execPath, [program, rootDir, name], { stdio: ['pipe', 'pipe', 'inherit'], env });
  const exited = once(child, 'exit');
  const acknowledged: Fact[] = [];
  let traced: Promise<unknown> | undefined;
  for await (const line of createInterface(child.stdout)) {
    const said = JSON.parse(line) as Fact | Stage;
    if (said.type === 'ready') {
      const tracer = spawn('strace', ['-f', ...words, '-p', String(child.pid)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      traced = once(tracer, 'exit');
      // It says so when it is attached.
      await once(tracer.stderr, 'data');
      tracer.stderr.resume();
      child.stdin.end('go');
    } else if (!isStage(said)) acknowledged.push(said);
  }
  const [, signal] = (await exited) as [number | null, string | null];
  await traced;
  return { killed: signal === 'SIGKILL', acknowledged };
}

const breakOff = (place: Place, name: string, { call, count }: Step): Promise<Broken> =>
  runTraced(place, name, ['-o', '/dev/null', '-e', `inject=${call}:signal=KILL:when=${String(count)}`]);

/** All steps of a scenario, from one run to its end. */
async function stepsOf(place: Place, name: string): Promise<readonly Step[]> {
  const log = `${place.rootDir}.log`;
  // The first one leaves in the cache what Node made of the sources, with steps that no other one has.
  await runTraced({ ...place, rootDir: `${place.rootDir}.first` }, name, ['-o', '/dev/null']);
  await runTraced(place, name, ['-o', log, '-e', `trace=${CALLS.join(',')}`]);
  const counts = new Map<string, number>();
  const steps: Step[] = [];
  for (const [line, call = ''] of (await readFile(log, 'utf8')).matchAll(/^\d+ +(\w+)\(.*$/gm)) {
    const count = (counts.get(call) ?? 0) + 1;
    counts.set(call, count);
    // Opening what is there changes nothing, and is still counted.
    if (call !== 'openat' || line.includes('O_CREAT')) steps.push({ call, count });
  }
  return steps;
}

/** A tag that is moved, or goes away, is no longer what was said of it before. */
function lastWord(facts: readonly Fact[]): readonly Fact[] {
  const keyOf = (fact: Fact): string =>
    fact.type === 'tag' || fact.type === 'no-tag' ? `${fact.name}:${fact.tag}` : JSON.stringify(fact);
  return [...new Map(facts.map((fact) => [keyOf(fact), fact])).values()];
}

/**
 * Kills a scenario at a step, looks at what is there, and does it again to its end.
 *
 * @returns whether it came to the step
 */
async function expectToSurvive(place: Place, name: string, step: Step): Promise<boolean> {
  const { acknowledged, killed } = await breakOff(place, name, step);
  await using storage = await openFileSystemStorage(place.rootDir);
  const known = lastWord(acknowledged);
  await expectFacts(storage, known);
  await expectWhole(storage);
  const again: Fact[] = [];
  await scenarios[name]?.act(storage, (...facts) => again.push(...facts));
  const all = lastWord([...known, ...again]);
  await expectFacts(storage, all);
  await expectWhole(storage);
  await expectNoOrphans(storage, place.rootDir);
  await expectFacts(storage, all);
  return killed;
}

describeRoot('a storage that is killed before any of its steps', () => {
  test.each(Object.keys(scenarios))(
    '%s',
    async (name) => {
      await using dir = await mkdtempDisposable(join(testDir, 'faults-'));
      const cacheDir = join(dir.path, 'cache');
      const steps = await stepsOf({ rootDir: join(dir.path, 'whole'), cacheDir }, name);
      expect(steps.length).toBeGreaterThan(5);
      const rest = steps.entries();
      let kills = 0;
      const survive = async (): Promise<void> => {
        for (const [at, step] of rest) {
          if (await expectToSurvive({ rootDir: join(dir.path, String(at)), cacheDir }, name, step)) kills += 1;
        }
      };
      // A process takes its time to start.
      await Promise.all([survive(), survive()]);
      // What goes on side by side shares some steps, or doesn't.
      expect(kills).toBeGreaterThan(steps.length * 0.8);
    },
    600_000,
  );
});
