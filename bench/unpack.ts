// What it takes to unpack a layer of more than 200 MB: our library beside GNU tar, in turn. Prints medians, processor time,
// the most memory that a process with nothing else to do takes, and for how long its event loop was blocked.
//
//   sudo node bench/unpack.ts                      # makes a Debian with debootstrap first; packages are built
//   sudo node bench/unpack.ts --layer layer.tar.gz --samples 20
//   sudo node bench/unpack.ts --here               # in TMPDIR itself, /dev/shm say
//
// The trees are made on an ext4 file system of the bench's own, with a journal, in a file in TMPDIR. An ext4 without one, as
// some virtual machines have, searches a third of a millisecond for an inode where many were removed in the last minutes, as
// after each round here; --here shows how that evens out all rows.
//
// On a busy machine a process waits for its turn, and calls that "blocked" too.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { unpackLayer } from '@tsc/image';

import { enterArena } from './arena.ts';
import { findProgram, output, version } from './command.ts';
import type { Contender } from './contender.ts';
import { median } from './report.ts';
import { measure } from './rounds.ts';

const LAYER = 'TSC_BENCH_LAYER';
const PACKAGES = 'perl,python3-minimal,vim-tiny,git,ca-certificates,curl,man-db,manpages-dev';
const XATTRS = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];
const DISK_SIZE = '4G';
const MEMORY_GOAL_MB = 150;
const LOOP_GOAL_MS = 50;

/** What one unpacking cost besides its time. */
interface Cost {
  readonly cpuMs: number;
  readonly memoryMb?: number;
  readonly blockedMs?: number;
}

interface Row extends Contender {
  readonly costs: Cost[];
}

async function read(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [chunks, exit] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
  const [code] = exit as [number | null];
  if (code !== 0) throw new Error(`${program}: exit code ${String(code)}`);
  return Buffer.concat(chunks as Buffer[]).toString();
}

const row = (name: string, dir: string, unpack: (to: string) => Promise<Cost>): Row => {
  const to = join(dir, 'tree');
  const costs: Cost[] = [];
  return {
    name,
    costs,
    start: async () => {
      mkdirSync(to);
      costs.push(await unpack(to));
    },
    settle: () => {
      rmSync(to, { recursive: true });
      return Promise.resolve();
    },
  };
};

const rowsFor = (layer: string, dir: string): readonly Row[] => [
  row('unpackLayer, in this process', dir, async (to) => {
    const before = process.cpuUsage();
    await unpackLayer(createReadStream(layer), to);
    const { user, system } = process.cpuUsage(before);
    return { cpuMs: (user + system) / 1000 };
  }),
  row('unpackLayer, a whole process', dir, async (to) => {
    return JSON.parse(await read(process.execPath, [join(import.meta.dirname, 'unpack-once.mjs'), layer, to])) as Cost;
  }),
  row('tar -xzf', dir, async (to) => {
    const command = ['tar', '-C', to, ...XATTRS, '-xpzf', layer];
    const times = await read('bash', ['-c', 'TIMEFORMAT="%U %S"; { time "$@" >&3; } 3>&1 2>&1', 'bash', ...command]);
    const [user = NaN, system = NaN] = times.trim().split(' ').map(Number);
    return { cpuMs: (user + system) * 1000 };
  }),
];

/** A Debian with some packages, as a layer compressed by gzip. */
function makeLayer(dir: string): string {
  const debootstrap = findProgram('debootstrap');
  if (debootstrap === undefined) throw new Error('no debootstrap: install it, or give --layer');
  const [tree, archive] = [join(dir, 'debian'), join(dir, 'layer.tar')];
  console.log('making a Debian: a minute or so');
  output(debootstrap, ['--variant=minbase', `--include=${PACKAGES}`, 'bookworm', tree]);
  rmSync(join(tree, 'var/cache/apt/archives'), { recursive: true });
  output('tar', ['-C', tree, ...XATTRS, '--format=pax', '--sort=name', '-cf', archive, '.']);
  rmSync(tree, { recursive: true });
  output('gzip', ['-6', archive]);
  return `${archive}.gz`;
}

/** GNU tar itself compares what came out with the archive: contents, modes, owners, times and links. */
async function check(layer: string, dir: string): Promise<void> {
  const to = join(dir, 'checked');
  mkdirSync(to);
  const { entries, contentBytes, size } = await unpackLayer(createReadStream(layer), to);
  output('tar', ['-C', to, ...XATTRS, '-dzf', layer]);
  rmSync(to, { recursive: true });
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
  console.log(
    `${String(entries)} members, ${mb(contentBytes)} MB in files, ${mb(size)} MB compressed; tar -d agrees\n`,
  );
}

/** A file system of our own, which goes with the mount namespace that we are in. */
function mountDisk(dir: string): string {
  const [image, target] = [join(dir, 'disk'), join(dir, 'mounted')];
  mkdirSync(target);
  output('truncate', ['-s', DISK_SIZE, image]);
  output('mkfs.ext4', ['-q', image]);
  output('mount', ['-o', 'loop', image, target]);
  return target;
}

const known = (values: readonly (number | undefined)[]): readonly number[] =>
  values.filter((value) => value !== undefined);
const shown = (value: number): string => (Number.isFinite(value) ? value.toFixed(0) : '');

function report(rows: readonly (Row & { readonly samples: readonly number[] })[]): void {
  console.log(
    '|                               | min ms | median |    max | cpu ms | most MB | blocked ms: median |    max |',
  );
  console.log(
    '| ----------------------------- | -----: | -----: | -----: | -----: | ------: | -----------------: | -----: |',
  );
  for (const { name, samples, costs } of rows) {
    const blocked = known(costs.map(({ blockedMs }) => blockedMs));
    const cells = [
      shown(Math.min(...samples)).padStart(6),
      shown(median(samples)).padStart(6),
      shown(Math.max(...samples)).padStart(6),
      shown(median(costs.map(({ cpuMs }) => cpuMs))).padStart(6),
      shown(Math.max(...known(costs.map(({ memoryMb }) => memoryMb)))).padStart(7),
      shown(median(blocked)).padStart(18),
      shown(Math.max(...blocked)).padStart(6),
    ];
    console.log(`| ${[name.padEnd(29), ...cells].join(' | ')} |`);
  }
  const [own, whole, tar] = rows.map(({ samples }) => median(samples)) as [number, number, number];
  const costs = rows.flatMap((each) => each.costs);
  const memory = Math.max(...known(costs.map(({ memoryMb }) => memoryMb)));
  const blocked = median(known(costs.map(({ blockedMs }) => blockedMs)));
  for (const [holds, says] of [
    [own <= tar, `unpackLayer takes no longer than GNU tar: ${(own / tar).toFixed(2)} of its time`],
    [whole <= tar, `neither does a process that does nothing else: ${(whole / tar).toFixed(2)}`],
    [memory < MEMORY_GOAL_MB, `it takes less than ${String(MEMORY_GOAL_MB)} MB of memory: ${shown(memory)}`],
    [blocked < LOOP_GOAL_MS, `its event loop is not blocked for ${String(LOOP_GOAL_MS)} ms: ${shown(blocked)}`],
  ] as const)
    console.log(`${holds ? 'holds ' : 'FAILS '} ${says}`);
}

interface BenchOptions {
  readonly layer: string;
  readonly samples: number;
  readonly here: boolean;
}

async function bench(dir: string, { layer, samples, here }: BenchOptions): Promise<void> {
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  console.log(`Linux ${release()}, ${String(cpus().length)} CPUs, Node ${process.version}, ${version('tar')}`);
  const target = here ? dir : mountDisk(dir);
  await check(layer, target);
  const rows = rowsFor(layer, target);
  const measured = await measure(rows, { samples, warmUps: 1, pauseMs: 100, signal: interrupted.signal });
  const failed = measured.find(({ failure }) => failure !== undefined);
  if (failed !== undefined) throw new Error(`${failed.name}: ${failed.failure ?? ''}`);
  report(rows.map((each, i) => ({ ...each, samples: measured[i]?.samples ?? [] })));
  if (!here) output('umount', [target]);
}

const { values } = parseArgs({
  options: {
    layer: { type: 'string' },
    samples: { type: 'string', default: '10' },
    here: { type: 'boolean', default: false },
  },
});

/** The layer is made where there is a network, so before the arena is entered, where this program runs again. */
async function benchInArena(): Promise<void> {
  using undo = new DisposableStack();
  const made =
    process.env[LAYER] ?? values.layer ?? makeLayer(undo.adopt(mkdtempSync(join(tmpdir(), 'tsc-bench-')), remove));
  process.env[LAYER] = made;
  const dir = await enterArena();
  if (dir !== undefined) await bench(dir, { layer: made, samples: Number(values.samples), here: values.here });
}

const remove = (dir: string): void => {
  rmSync(dir, { recursive: true, force: true });
};

await benchInArena();
