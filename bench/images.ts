// What it takes to unpack, pull, push and load images: our library and command line beside GNU tar, docker, podman and
// skopeo with umoci, as many of them as are installed. See README.md.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { enterArena } from './arena.ts';
import { findProgram, output, version } from './command.ts';
import { startRegistry } from './images/daemon.ts';
import { makeFixture } from './images/fixture.ts';
import { formatFailures, formatGoals, formatTables, type MeasuredRow } from './images/report.ts';
import { IMAGE, ROWS, transfersOf, type RowName, type Setting } from './images/rows.ts';
import { measure } from './rounds.ts';

const FIXTURE = 'TSC_BENCH_FIXTURE';
const PROGRAMS = ['tar', 'gzip', 'dockerd', 'podman', 'skopeo', 'umoci'];
/** Where podman and skopeo remember which blobs they have seen, and docker keeps a key, wherever their other files are. */
const HABITS = ['/var/lib/containers', '/etc/docker'];

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '10' },
    pause: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    without: { type: 'string', default: '' },
    fixture: { type: 'string' },
  },
});

function describeMachine(): string {
  const found = PROGRAMS.map(findProgram).filter((path) => path !== undefined);
  return [`Linux ${release()}, ${cpus().length} CPUs, Node ${process.version}`, ...found.map(version)].join('\n');
}

async function measureRow(name: RowName, setting: Setting, signal: AbortSignal): Promise<MeasuredRow> {
  await using stack = new AsyncDisposableStack();
  console.error(`measuring ${name}`);
  const transfers = await transfersOf(name, setting, stack);
  const rounds = { samples: Number(values.samples), warmUps: 1, pauseMs: Number(values.pause), signal };
  const measured = await measure(transfers, rounds);
  return {
    name,
    cells: new Map(
      transfers.map(({ column, cost }, n) => [
        column,
        { ...(measured[n] ?? { name: column, samples: [], failure: 'not measured' }), cost },
      ]),
    ),
  };
}

async function bench(dir: string): Promise<void> {
  for (const path of HABITS.filter((each) => existsSync(each))) output('mount', ['-t', 'tmpfs', 'none', path]);
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  await using stack = new AsyncDisposableStack();
  const fixture = await makeFixture(process.env[FIXTURE] ?? '');
  const source = stack.use(await startRegistry(join(dir, 'source'), 5000));
  const target = stack.use(await startRegistry(join(dir, 'target'), 5001));
  const copy = ['--insecure-policy', 'copy', '-q', '--dest-tls-verify=false'];
  output('skopeo', [...copy, `oci-archive:${fixture.image}`, `docker://${source.address}/${IMAGE}`]);
  const setting = { fixture, source, target, without: values.without.split(',') };
  console.log(`${describeMachine()}\n`);
  const rows: MeasuredRow[] = [];
  for (const name of ROWS.filter((row) => row.includes(values.only))) {
    // Directories of its own for each row: what one has left would be there already for the next.
    const place = { dir: join(dir, name), runDir: join('/run/tsc-bench', name) };
    for (const made of Object.values(place)) mkdirSync(made, { recursive: true });
    rows.push(await measureRow(name, { ...setting, place }, interrupted.signal));
  }
  console.log(`${formatTables(rows)}\n${formatFailures(rows)}\n${formatGoals(rows)}`);
}

/** The images are made where there is a network, so before the arena is entered. */
async function benchWithFixture(): Promise<void> {
  using undo = new DisposableStack();
  const made = values.fixture ?? undo.adopt(mkdtempSync(join(tmpdir(), 'tsc-bench-images-')), remove);
  mkdirSync(made, { recursive: true });
  await makeFixture(made);
  process.env[FIXTURE] = made;
  await enterArena();
}

function remove(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

if (process.env[FIXTURE] === undefined) await benchWithFixture();
else {
  const dir = await enterArena();
  if (dir !== undefined) await bench(dir);
}
