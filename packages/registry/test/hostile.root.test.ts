import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from '@jest/globals';

import { describeRoot, testDir } from '../../../test/root.ts';
import { openFileSystemStorage } from '../src/index.ts';
import { ConformanceTarget, digestOf } from '../src/testing/case.ts';
import { startHostileTarget, until } from './hostile-registry.ts';
import type { HostileTarget } from './hostile-registry.ts';

const MB = 1024 * 1024;
const STALL_MS = 1000;
/** Where nothing is wrong it is some 50; a machine may have other things to do. */
const PROMPT_MS = 2000;

interface Setting {
  readonly target: HostileTarget;
  readonly client: ConformanceTarget;
  readonly rootDir: string;
}

/** Runs against a registry that must be alive, and have nothing to complain of, in the end. */
async function withTarget(act: (setting: Setting) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(testDir, 'hostile-'));
  const rootDir = join(dir.path, 'root');
  const cacheDir = join(dir.path, 'cache');
  await using target = await startHostileTarget({ rootDir, cacheDir, limits: { stallTimeoutMs: STALL_MS } });
  using client = new ConformanceTarget(target.url);
  await act({ target, client, rootDir });
  expect(await target.close()).toBe('0');
  expect(target.failures).toEqual([]);
}

/** What one who behaves has to wait, at worst, while others don't. */
async function slowestAnswer(client: ConformanceTarget, path: string, forMs: number): Promise<number> {
  let slowestMs = 0;
  for (const endMs = performance.now() + forMs; performance.now() < endMs;) {
    const sinceMs = performance.now();
    expect((await client.send('GET', path)).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - sinceMs);
    await sleep(10);
  }
  return slowestMs;
}

const openMany = (target: HostileTarget, count: number, begin: (socket: Socket) => void): readonly Socket[] =>
  Array.from({ length: count }, () => {
    const socket = target.open();
    begin(socket);
    return socket;
  });

const allClosed = (sockets: readonly Socket[]) => () => sockets.every((socket) => socket.closed);

/** The answers to requests that are sent together on one connection. */
async function pipelined(target: HostileTarget, requests: readonly string[]): Promise<readonly string[]> {
  const socket = target.open();
  socket.write(requests.join(''));
  let text = '';
  let answers: readonly string[] = [];
  while (answers.length < requests.length) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    answers = text.split(/(?=HTTP\/1\.1 \d{3} )/);
  }
  socket.destroy();
  return answers;
}

describeRoot('a registry and many who mean it no good', () => {
  test('ten thousand abandoned uploads cost no memory, are in nobody’s way, and are removed', async () => {
    await withTarget(async ({ target, client, rootDir }) => {
      const start = 'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';
      const startSome = async (): Promise<readonly string[]> => {
        const answers = await pipelined(
          target,
          Array.from({ length: 50 }, () => start),
        );
        return answers.map((answer) => /^Location: (.*)$/m.exec(answer)?.[1]?.trim() ?? '');
      };
      const locations: string[] = [];
      const memory: number[] = [];
      for (let round = 0; round < 20; round++) {
        const some = (await Promise.all(Array.from({ length: 10 }, startSome))).flat();
        locations.push(...some);
        const sent = some.slice(0, 50).map((location) => client.send('PATCH', location, { body: randomBytes(1000) }));
        expect((await Promise.all(sent)).map(({ status }) => status)).toEqual(sent.map(() => 202));
        memory.push(await target.memoryBytes());
      }
      expect(new Set(locations).size).toBe(10_000);
      expect((memory.at(-1) ?? Infinity) - (memory[3] ?? 0)).toBeLessThan(48 * MB);

      const digest = await client.pushBlob('a', Buffer.from('among them'));
      expect((await client.send('GET', locations[0] ?? '')).headers['range']).toBe('0-999');
      await using storage = await openFileSystemStorage(rootDir);
      const sinceMs = performance.now();
      const removing = storage.removeStaleUploads(0);
      expect(await slowestAnswer(client, `/v2/a/blobs/${digest}`, 500)).toBeLessThan(PROMPT_MS);
      expect(await removing).toBe(10_000);
      expect(performance.now() - sinceMs).toBeLessThan(30_000);
      expect(await readdir(join(rootDir, 'uploads'))).toEqual([]);
      expect((await client.send('GET', locations[0] ?? '')).status).toBe(404);
    });
  }, 120_000);

  test('manifests without end are a 413 each, and gone from memory', async () => {
    await withTarget(async ({ target }) => {
      const piece = `10000\r\n${' '.repeat(65_536)}\r\n`;
      const push = async (framing: string): Promise<string> => {
        const socket = target.open();
        const answered = once(socket, 'data') as Promise<[Buffer]>;
        socket.write(`PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
        for (let ended = false; !ended;) {
          const room = socket.write(piece) ? sleep(0) : once(socket, 'drain');
          ended = await Promise.race([room.then(() => false), answered.then(() => true)]);
        }
        socket.destroy();
        return (await answered)[0].toString('latin1').slice(0, 12);
      };
      const memory: number[] = [];
      for (let round = 0; round < 5; round++) {
        const framings = Array.from({ length: 16 }, (_, at) =>
          at % 2 === 0 ? 'Transfer-Encoding: chunked' : 'Content-Length: 1000000000000',
        );
        expect(await Promise.all(framings.map(push))).toEqual(framings.map(() => 'HTTP/1.1 413'));
        memory.push(await target.memoryBytes());
      }
      expect((memory.at(-1) ?? Infinity) - (memory[1] ?? 0)).toBeLessThan(64 * MB);
    });
  });

  test('200 who read and 300 who write a byte a second keep nobody waiting, and are dropped', async () => {
    await withTarget(async ({ target, client }) => {
      const [small, large] = [Buffer.from('small'), randomBytes(32 * MB)];
      const [digest, largeDigest] = [await client.pushBlob('a', small), await client.pushBlob('a', large)];
      const uploads = await Promise.all(Array.from({ length: 200 }, () => client.start('a')));
      await sleep(500);
      const [descriptors, memory] = [await target.descriptors(), await target.memoryBytes()];

      const readers = openMany(target, 200, (socket) => {
        socket.pause();
        socket.write(`GET /v2/a/blobs/${largeDigest} HTTP/1.1\r\nHost: a\r\n\r\n`);
      });
      let next = 0;
      const writers = openMany(target, 200, (socket) => {
        socket.resume();
        socket.write(`PATCH ${uploads[next++] ?? ''} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`);
      });
      // What they send is never looked at.
      const unwanted = openMany(target, 100, (socket) => {
        socket.resume();
        socket.write('GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
      });
      const timer = setInterval(() => {
        for (const socket of readers) socket.read(1);
        for (const socket of [...writers, ...unwanted]) if (socket.writable) socket.write('x');
      }, STALL_MS / 4);
      try {
        expect(await slowestAnswer(client, `/v2/a/blobs/${digest}`, STALL_MS)).toBeLessThan(PROMPT_MS);
        expect((await target.memoryBytes()) - memory).toBeLessThan(128 * MB);
        await until('writers are dropped', allClosed([...writers, ...unwanted]), STALL_MS * 6);
        await until('descriptors are back', async () => (await target.descriptors()) <= descriptors + 5, STALL_MS * 6);
        const { headers } = await client.send('GET', uploads[0] ?? '');
        expect(headers['range']).toMatch(/^0-\d$/);
        expect(digestOf((await client.send('GET', `/v2/a/blobs/${largeDigest}`)).body)).toBe(largeDigest);
      } finally {
        clearInterval(timer);
        for (const socket of [...readers, ...writers, ...unwanted]) socket.destroy();
      }
    });
  });

  test('1,000 idle connections, slow headers and half of a connection are closed, and keep nobody waiting', async () => {
    await withTarget(async ({ target, client }) => {
      const digest = await client.pushBlob('a', Buffer.from('small'));
      await sleep(500);
      const descriptors = await target.descriptors();
      const idle = openMany(target, 1000, (socket) => socket.resume());
      const slow = openMany(target, 200, (socket) => {
        socket.resume();
        socket.write('GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ');
      });
      const half = openMany(target, 200, (socket) => {
        socket.resume();
        socket.end('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n');
      });
      const timer = setInterval(() => {
        for (const socket of slow) if (socket.writable) socket.write('x');
      }, 100);
      try {
        expect(await slowestAnswer(client, `/v2/a/blobs/${digest}`, 1000)).toBeLessThan(PROMPT_MS);
        await until('they are closed', allClosed([...idle, ...slow, ...half]), 6000);
        await until('descriptors are back', async () => (await target.descriptors()) <= descriptors + 5, 6000);
      } finally {
        clearInterval(timer);
        for (const socket of [...idle, ...slow, ...half]) socket.destroy();
      }
    });
  });

  test('requests that are sent ahead are answered in order, one at a time', async () => {
    await withTarget(async ({ target, client }) => {
      const image = await client.image('a', { annotations: { x: 'y'.repeat(3_900_000) } });
      await client.pushManifest('a', 'v1', image);
      const memory = await target.memoryBytes();
      // A thousand times 4 MB are asked for with one packet.
      const greedy = openMany(target, 5, (socket) => {
        socket.pause();
        socket.write('GET /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1000));
      });
      await sleep(500);
      expect((await target.memoryBytes()) - memory).toBeLessThan(96 * MB);
      for (const socket of greedy) socket.destroy();

      const paths = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? `v${String(at)}` : 'v1'));
      const heads = paths.map((tag) => `HEAD /v2/a/manifests/${tag} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const answers = await pipelined(target, heads);
      expect(answers.map((answer) => answer.slice(9, 12))).toEqual(paths.map((tag) => (tag === 'v1' ? '200' : '404')));
    });
  });
});
