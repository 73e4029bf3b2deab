// How long it takes to start a container that runs /bin/true, and to clean up after it: our engine beside runc, crun,
// podman and docker, as many of them as are installed. See README.md.
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { enterArena } from './arena.ts';
import { findProgram, version } from './command.ts';
import type { Place } from './contender.ts';
import { dockerContenders, podmanContenders } from './engines.ts';
import { ownContenders } from './in-process.ts';
import { ociContenders } from './oci-runtimes.ts';
import { formatFailures, formatGoals, formatTable } from './report.ts';
import { measure } from './rounds.ts';
import { makeTree } from './tree.ts';

const PROGRAMS = ['runc', 'crun', 'podman', 'dockerd'];

function describeMachine(): string {
  const found = PROGRAMS.map(findProgram).filter((path) => path !== undefined);
  return [`Linux ${release()}, ${cpus().length} CPUs, Node ${process.version}`, ...found.map(version)].join('\n');
}

async function bench(dir: string): Promise<void> {
  const { values } = parseArgs({
    options: {
      samples: { type: 'string', default: '20' },
      pause: { type: 'string', default: '30' },
      only: { type: 'string', default: '' },
    },
  });
  const place: Place = {
    dir,
    runDir: '/run/tsc-bench',
    tree: join(dir, 'tree'),
    archive: join(dir, 'tree.tar'),
  };
  makeTree(place.tree, place.archive);
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  await using stack = new AsyncDisposableStack();
  const contenders = [];
  for (const find of [ownContenders, ociContenders, podmanContenders, dockerContenders]) {
    contenders.push(...stack.use(await find(place)).contenders);
  }
  console.log(`${describeMachine()}\n`);
  const rows = await measure(
    contenders.filter(({ name }) => name.includes(values.only)),
    { samples: Number(values.samples), warmUps: 2, pauseMs: Number(values.pause), signal: interrupted.signal },
  );
  console.log(`${formatTable(rows)}\n${formatFailures(rows)}\n${formatGoals(rows)}`);
}

const dir = await enterArena();
if (dir !== undefined) await bench(dir);
