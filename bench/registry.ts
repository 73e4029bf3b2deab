// What a registry can take: ours beside Debian's docker-registry, and other programs of its kind where they are given. See
// README.md.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { findProgram, version } from './command.ts';
import { Client } from './registry/client.ts';
import { startServers } from './registry/contenders.ts';
import { formatHuge, moveHugeBlob } from './registry/huge.ts';
import { runSlice } from './registry/load.ts';
import type { Slice } from './registry/load.ts';
import { formatRows, formatTotals } from './registry/report.ts';
import type { Row } from './registry/report.ts';
import { makeOperations } from './registry/rows.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    duration: { type: 'string', default: '700' },
    concurrency: { type: 'string', default: '1,10,100' },
    huge: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    beside: { type: 'string', multiple: true, default: [] },
  },
});

const MANY = 100;

function describeMachine(): string {
  const peer = findProgram('docker-registry');
  const found = [...(peer === undefined ? [] : [peer]), ...values.beside].map(version);
  return [`Linux ${release()}, ${String(cpus().length)} CPUs, Node ${process.version}`, ...found].join('\n');
}

async function bench(dir: string, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const servers = await startServers(dir, { others: values.beside, stack });
  const contenders = await Promise.all(
    servers.map(async (server) => {
      using client = await Client.open(server.port);
      return { server, operations: await makeOperations(client) };
    }),
  );
  console.log(`${describeMachine()}\n`);
  const rows: Row[] = [];
  for (const { name, sizeBytes, isLarge } of contenders[0]?.operations ?? []) {
    if (!name.includes(values.only)) continue;
    for (const concurrency of values.concurrency.split(',').map(Number)) {
      console.error(`measuring ${name}, ${String(concurrency)}`);
      const slices = new Map(servers.map((server) => [server.name, [] as Slice[]]));
      // Many large ones take so long that one round evens out by itself.
      const rounds = isLarge && concurrency >= MANY ? 1 : Number(values.rounds);
      for (let round = 0; round < rounds; round += 1) {
        // In turn, and each first as often as last, so that what disturbs the machine disturbs all of them alike.
        for (const { server, operations } of round % 2 === 0 ? contenders : contenders.toReversed()) {
          const operation = operations.find((each) => each.name === name);
          if (operation === undefined) throw new Error(`no operation ${name}`);
          const options = { concurrency, signal };
          if (round === 0 && !isLarge) await runSlice(server, operation, { ...options, durationMs: 200 });
          const slice = await runSlice(server, operation, { ...options, durationMs: Number(values.duration) });
          slices.get(server.name)?.push(slice);
          await sleep(50, undefined, { signal });
        }
      }
      rows.push({ name, concurrency, sizeBytes, slices });
    }
  }
  const huge: (readonly string[])[] = [];
  for (const server of Number(values.huge) > 0 ? servers : []) {
    console.error(`moving ${values.huge} GB through ${server.name}`);
    huge.push(...(await moveHugeBlob(server, { gigabytes: Number(values.huge), signal })));
  }
  const names = servers.map(({ name }) => name);
  console.log(
    `${formatRows(rows, names)}\n\n${formatTotals(rows, names)}${huge.length === 0 ? '' : `\n\n${formatHuge(huge)}`}`,
  );
}

const interrupted = new AbortController();
process.once('SIGINT', () => {
  interrupted.abort();
});
const dir = mkdtempSync(join(tmpdir(), 'tsc-bench-registry-'));
try {
  await bench(dir, interrupted.signal);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
