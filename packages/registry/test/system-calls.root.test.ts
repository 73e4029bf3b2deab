import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { ConformanceTarget, describe, MANIFEST } from '../src/testing/case.ts';

const TIMES = 40;
/** Of files; what a socket and the event loop need is Node's. */
const OF_FILES =
  'openat,openat2,close,fstat,statx,newfstatat,pread64,preadv2,pwrite64,pwritev,fsync,fdatasync,' +
  'rename,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,getdents64,utimensat,sendfile';

/** The system calls on files that the process `pid` makes while `act` runs, by name. */
async function countCalls(pid: number, act: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
  const log = join(dir, 'calls');
  writeFileSync(log, '');
  const strace = spawn('strace', ['-f', '-qq', '-e', `trace=${OF_FILES}`, '-o', log, '-p', String(pid)], {
    stdio: 'ignore',
  });
  const traced = (): boolean => !/^TracerPid:\s0$/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
  while (!traced()) await sleep(10);
  await act();
  const ended = once(strace, 'exit');
  strace.kill('SIGINT');
  await ended;
  const counts = new Map<string, number>();
  for (const [, name = ''] of readFileSync(log, 'utf8').matchAll(/^\d+ +(\w+)\(/gm)) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

const sum = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((all, count) => all + count, 0);

let dir: string;
let child: ChildProcess;
let target: ConformanceTarget;

describeRoot('system calls on files', () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tsc-registry-calls-'));
    const program = `
      const { serveRegistry } = await import(${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))});
      const server = await serveRegistry({ listen: '127.0.0.1:0', rootDir: process.argv[1] });
      process.stdout.write(server.url);
    `;
    child = spawn(process.execPath, ['--input-type=module', '-e', program, join(dir, 'root')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [url] = (await once(child.stdout ?? child, 'data')) as [Buffer];
    target = new ConformanceTarget(url.toString().trim());
    execFileSync('strace', ['--version']);
  }, 60_000);
  afterAll(async () => {
    target[Symbol.dispose]();
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    rmSync(dir, { recursive: true });
  });

  test('a pull of a manifest or of a small blob needs four of each file that is looked at, and no thread', async () => {
    const bytes = randomBytes(1000);
    await target.pushBlob('a', bytes);
    const config = describe(bytes, 'application/octet-stream');
    await target.pushManifest('a', 'latest', { schemaVersion: 2, mediaType: MANIFEST, config, layers: [] });
    const pull = async (path: string): Promise<void> => {
      const { status } = await target.send('GET', path);
      expect(status).toBe(200);
    };
    const manifest = '/v2/a/manifests/latest';
    const blob = `/v2/a/blobs/${config.digest}`;
    for (const path of [manifest, blob]) await pull(path);
    // Two files each, the tag's and the manifest's, the link for its facts and for its bytes; and the socket's close. File systems
    // in memory need one more to read.
    for (const [path, budget] of [
      [manifest, 11],
      [blob, 11],
    ] as const) {
      const calls = await countCalls(child.pid ?? 0, async () => {
        for (let at = 0; at < TIMES; at++) await pull(path);
      });
      expect(sum(calls) / TIMES).toBeLessThanOrEqual(budget);
    }
  }, 120_000);

  test('a push of a blob needs at most 35, and syncs three times', async () => {
    await target.pushBlob('a', randomBytes(1000));
    const calls = await countCalls(child.pid ?? 0, async () => {
      for (let at = 0; at < TIMES; at++) await target.pushBlob('a', randomBytes(1000));
    });
    expect(sum(calls) / TIMES).toBeLessThanOrEqual(35);
    const syncs = (calls.get('fsync') ?? 0) + (calls.get('fdatasync') ?? 0);
    // The first content of each of 256 directories makes it, and syncs the one above.
    expect(syncs / TIMES).toBeGreaterThanOrEqual(3);
    expect(syncs / TIMES).toBeLessThanOrEqual(4);
  }, 120_000);
});
