import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { Digest } from '../names.ts';
import type { RequestRecord } from './events.ts';
import { serveRegistry } from './serve.ts';
import type { RegistryServer } from './serve.ts';

const BYTES = 12 * 1024 * 1024;
const content = randomBytes(BYTES);
const hex = createHash('sha256').update(content).digest('hex');
const digest: Digest = `sha256:${hex}`;
const path = `/v2/a/blobs/${digest}`;

let rootDir: string;
let server: RegistryServer;
const failures: unknown[] = [];
const records: RequestRecord[] = [];

beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  const storage = await openFileSystemStorage(rootDir);
  const upload = { name: 'a', id: await storage.startUpload('a', 'sha256') };
  await storage.appendUpload(upload, { offset: 0, body: bodyOf(content) });
  await storage.finishUpload(upload, digest);
  failures.length = 0;
  records.length = 0;
  server = await serveRegistry({
    listen: '127.0.0.1:0',
    rootDir,
    limits: { stallTimeoutMs: 3000 },
    onFailure: (failure) => failures.push(failure),
    onRequest: (record) => records.push(record),
  });
});
afterEach(async () => {
  await server.close({ graceMs: 100 });
  await rm(rootDir, { recursive: true });
});

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous
async function* bodyOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5);
}

interface Pulled {
  readonly status: number | undefined;
  readonly bytes: Buffer;
  readonly port: number | undefined;
}

/** @param agent - keeps its one connection */
async function pull(agent: Agent, headers: Record<string, string> = {}): Promise<Pulled> {
  const request = get(`${server.url}${path}`, { agent, headers });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const port = response.socket.localPort;
  return { status: response.statusCode, bytes: Buffer.concat((await response.toArray()) as Buffer[]), port };
}

describe('a blob that goes from its file to the socket', () => {
  test('comes whole, in parts, and again on the same connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const whole = await pull(agent);
    expect(whole.bytes.equals(content)).toBe(true);
    const part = await pull(agent, { Range: 'bytes=1000000-9999999' });
    expect(part.status).toBe(206);
    expect(part.bytes.equals(content.subarray(1_000_000, 10_000_000))).toBe(true);
    const [one, other] = [await pull(agent), await pull(agent)];
    expect(other.bytes.equals(content)).toBe(true);
    expect(one.port).toBe(whole.port);
    agent.destroy();
    expect(failures).toEqual([]);
    await until(() => records.length === 4);
    expect(records.every(({ sentBytes }, at) => sentBytes > (at === 1 ? 9_000_000 : BYTES))).toBe(true);
  });

  test('comes in the order that was asked for, where a client does not wait for answers', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const ask = `GET ${path} HTTP/1.1\r\nHost: a\r\nRange: bytes=`;
    socket.write(`${ask}0-5999999\r\n\r\n${ask}6000000-\r\nConnection: close\r\n\r\n`);
    const received = Buffer.concat((await socket.toArray()) as Buffer[]);
    const second = received.indexOf('HTTP/1.1 206', 12);
    expect(received.subarray(second - 6_000_000, second).equals(content.subarray(0, 6_000_000))).toBe(true);
    expect(received.subarray(-(BYTES - 6_000_000)).equals(content.subarray(6_000_000))).toBe(true);
  });

  test('lets go of everything when its reader goes away, or takes nothing', async () => {
    const before = await descriptors();
    const [gone, idle] = [0, 1].map(() => connect(Number(new URL(server.url).port), '127.0.0.1')) as [
      ReturnType<typeof connect>,
      ReturnType<typeof connect>,
    ];
    for (const socket of [gone, idle]) {
      socket.on('error', () => undefined);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await once(socket, 'readable');
      socket.pause();
    }
    gone.destroy();
    // The other one is dropped by the server.
    await until(() => records.length === 2);
    idle.destroy();
    await until(async () => (await descriptors()) <= before);
    expect(failures).toEqual([]);
  });

  test('is cut off when the registry closes', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, 'readable');
    await server.close({ graceMs: 50 });
    const received = Buffer.concat((await socket.toArray()) as Buffer[]);
    expect(received.byteLength).toBeLessThan(BYTES);
  });
});
