// What it takes to unpack a layer of more than 200 MB: our library beside GNU tar, in turn. Prints medians, processor time,
// the most memory that a process with nothing else to do takes, and the longest that its event loop was blocked.
//
//   sudo node bench/unpack.ts                      # makes a Debian with debootstrap first; packages are built
//   sudo node bench/unpack.ts --layer layer.tar.gz --samples 20
//   sudo TMPDIR=/dev/shm node bench/unpack.ts      # in memory instead of on a disk
//
// A file system without a journal, as some virtual machines have, searches long for inodes where many were just removed,
// as after each round here: then making files takes most of the time, of all rows alike.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { unpackLayer } from '@tsc/image';

import { findProgram, output, version } from './command.ts';
import type { Contender } from './contender.ts';
import { median } from './report.ts';
import { measure } from './rounds.ts';

const PACKAGES = 'perl,python3-minimal,vim-tiny,git,ca-certificates,curl,man-db,manpages-dev';
const XATTRS = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];
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

const most = (costs: readonly Cost[], of: (cost: Cost) => number | undefined): number =>
  Math.max(...costs.map((cost) => of(cost) ?? -1));

function report(rows: readonly (Row & { readonly samples: readonly number[] })[]): void {
  const shown = (value: number): string => (value < 0 ? '' : value.toFixed(0));
  console.log('|                               | min ms | median |   max | cpu ms | memory MB | blocked ms |');
  console.log('| ----------------------------- | -----: | -----: | ----: | -----: | --------: | ---------: |');
  for (const { name, samples, costs } of rows) {
    const cells = [
      shown(Math.min(...samples)).padStart(6),
      shown(median(samples)).padStart(6),
      shown(Math.max(...samples)).padStart(5),
      shown(median(costs.map(({ cpuMs }) => cpuMs))).padStart(6),
      shown(most(costs, ({ memoryMb }) => memoryMb)).padStart(9),
      shown(most(costs, ({ blockedMs }) => blockedMs)).padStart(10),
    ];
    console.log(`| ${[name.padEnd(29), ...cells].join(' | ')} |`);
  }
  const [own, whole, tar] = rows.map(({ samples }) => median(samples)) as [number, number, number];
  const memory = most(
    rows.flatMap(({ costs }) => costs),
    ({ memoryMb }) => memoryMb,
  );
  const blocked = most(
    rows.flatMap(({ costs }) => costs),
    ({ blockedMs }) => blockedMs,
  );
  for (const [holds, says] of [
    [own <= tar, `unpackLayer takes no longer than GNU tar: ${(own / tar).toFixed(2)} of its time`],
    [whole <= tar, `neither does a process that does nothing else: ${(whole / tar).toFixed(2)}`],
    [memory < MEMORY_GOAL_MB, `it takes less than ${String(MEMORY_GOAL_MB)} MB of memory: ${shown(memory)}`],
    [blocked < LOOP_GOAL_MS, `its event loop is never blocked for ${String(LOOP_GOAL_MS)} ms: ${shown(blocked)}`],
  ] as const)
    console.log(`${holds ? 'holds ' : 'FAILS '} ${says}`);
}

async function bench(given: string | undefined, samples: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'tsc-bench-'));
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  try {
    console.log(`Linux ${release()}, ${String(cpus().length)} CPUs, Node ${process.version}, ${version('tar')}`);
    const layer = given ?? makeLayer(dir);
    statSync(layer);
    await check(layer, dir);
    const rows = rowsFor(layer, dir);
    const measured = await measure(rows, { samples, warmUps: 1, pauseMs: 100, signal: interrupted.signal });
    const failed = measured.find(({ failure }) => failure !== undefined);
    if (failed !== undefined) throw new Error(`${failed.name}: ${failed.failure ?? ''}`);
    report(rows.map((each, i) => ({ ...each, samples: measured[i]?.samples ?? [] })));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { layer: { type: 'string' }, samples: { type: 'string', default: '10' } } });
await bench(values.layer, Number(values.samples));
