import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { RegistryStorage } from '../storage.ts';
import { serveRegistry } from './serve.ts';
import type { RegistryServer } from './serve.ts';

const stallTimeoutMs = 200;
let rootDir: string;
let storage: RegistryStorage;
let server: RegistryServer;
const failures: unknown[] = [];

beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
  failures.length = 0;
  server = await serveRegistry({
    listen: '127.0.0.1:0',
    rootDir,
    limits: { stallTimeoutMs, blobMaxBytes: 1000 },
    onFailure: (failure) => failures.push(failure),
  });
});
afterEach(async () => {
  await server.close();
  await rm(rootDir, { recursive: true });
});

const open = (): Socket => connect(Number(new URL(server.url).port), '127.0.0.1');

/** All that comes until the other side ends. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}

/** Every way in which somebody has written `..`, or a separator, in the hope that it is read as one later. */
const DOTS = [
  '..',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '%252e%252e',
  '%25252e%25252e',
  '..%2f..',
  '..%2F',
  '%2e%2e%2f%2e%2e%2f',
  '..%252f..',
  '..%5c..',
  '..\\..',
  '%2e%2e%5c',
  '..%255c',
  '%c0%ae%c0%ae',
  '%c0%2e%c0%2e',
  '%e0%80%ae%e0%80%ae',
  '%f0%80%80%ae%f0%80%80%ae',
  '..%c0%af',
  '..%e0%80%af',
  '..%00',
  '%00..',
  '..%0d%0a',
  '..%09',
  '..;',
  '..;a=b',
  '....',
  '%u002e%u002e',
  '%ef%bc%8e%ef%bc%8e',
  '%e2%80%a5',
  '%',
  '%2',
  '%zz',
  '%ff',
  '%ed%a0%80',
  '.',
  '%2e',
  '',
  '_blobs',
  '__proto__',
] as const;

const digest = `sha256:${'0'.repeat(64)}`;

const pathsWith = (dots: string): readonly (readonly [method: string, path: string])[] => [
  ['GET', `/${dots}/${dots}/etc/passwd`],
  ['GET', `/v2/${dots}/manifests/v1`],
  ['PUT', `/v2/${dots}/manifests/v1`],
  ['GET', `/v2/a/${dots}/b/manifests/v1`],
  ['GET', `/v2/a/manifests/${dots}/x`],
  ['PUT', `/v2/a/manifests/-${dots}`],
  ['DELETE', `/v2/a/manifests/-${dots}`],
  ['GET', `/v2/a/blobs/${dots}`],
  ['GET', `/v2/a/blobs/sha256:${dots}/x`],
  ['DELETE', `/v2/a/blobs/sha256:${dots}`],
  ['POST', `/v2/a/${dots}/blobs/uploads/`],
  ['POST', `/v2/a/blobs/uploads/?mount=${digest}&from=a/${dots}/b`],
  ['POST', `/v2/a/blobs/uploads/?digest=sha256:${dots}`],
  ['PATCH', `/v2/a/blobs/uploads/x${dots}/x`],
  ['DELETE', `/v2/a/blobs/uploads/-${dots}`],
  ['PUT', `/v2/a/blobs/uploads/-${dots}?digest=${digest}`],
  ['GET', `/v2/a/tags/${dots}/list`],
  ['GET', `/v2/a/referrers/${dots}`],
];

describe('paths that would lead elsewhere', () => {
  test.each(DOTS)('are a 4xx with %j, wherever it stands, and make nothing', async (dots) => {
    for (const [method, path] of pathsWith(dots)) {
      const socket = open();
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      const answer = await readToEnd(socket);
      expect([path, answer]).toEqual([path, expect.stringMatching(/^HTTP\/1\.1 40[045] /)]);
      // What HTTP's parser refuses never comes to us.
      if (!/^Docker-Distribution/m.test(answer)) continue;
      expect(answer.slice(answer.indexOf('\r\n\r\n') + 4)).toMatch(/^\{"errors":\[\{"code":"[A-Z_]+","message":/);
    }
    expect(failures).toEqual([]);
    expect(await readdir(join(rootDir, 'repositories'))).toEqual([]);
    expect(await readdir(join(rootDir, 'uploads'))).toEqual([]);
  });
});

describe('clients that misbehave', () => {
  test('a body that stops arriving is a 408, and its upload keeps what came', async () => {
    const id = await storage.startUpload('a', 'sha256');
    const socket = open();
    socket.write(`PATCH /v2/a/blobs/uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345`);
    expect(await readToEnd(socket)).toMatch(/^HTTP\/1\.1 408 [^]*BLOB_UPLOAD_INVALID/);
    expect(await storage.uploadedBytes({ name: 'a', id })).toBe(5);
    expect(failures).toEqual([]);
  });

  test('a client that goes away in the middle leaves an upload that can go on', async () => {
    const id = await storage.startUpload('a', 'sha256');
    const socket = open();
    socket.write(`PATCH /v2/a/blobs/uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345`);
    while ((await storage.uploadedBytes({ name: 'a', id })) < 5) await new Promise((resolve) => setTimeout(resolve, 2));
    socket.destroy();
    const body = new Blob(['67890']).stream();
    // The server learns of it a little later than we do; a storage of another process waits for it.
    expect(await storage.appendUpload({ name: 'a', id }, { offset: 5, body })).toBe(10);
    expect(failures).toEqual([]);
  });

  test('a blob that is too large is a 413, announced or not', async () => {
    const announced = await fetch(`${server.url}/v2/a/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`, {
      method: 'POST',
      body: new Uint8Array(2000),
    });
    expect(announced.status).toBe(413);
    const streamed = await fetch(`${server.url}/v2/a/blobs/uploads/${await storage.startUpload('a', 'sha256')}`, {
      method: 'PATCH',
      body: new Blob([new Uint8Array(2000)]).stream(),
      duplex: 'half',
    });
    expect(streamed.status).toBe(413);
  });

  test('a client that is refused while it sends can read why, whatever is left', async () => {
    const socket = open();
    const errors: unknown[] = [];
    socket.on('error', (error) => errors.push(error));
    const answered = once(socket, 'data') as Promise<[Buffer]>;
    const piece = Buffer.alloc(64 * 1024);
    socket.write(
      `PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${String(piece.length * 1000)}\r\n\r\n`,
    );
    // Nobody takes all of it, so it is the answer that ends this.
    for (let ended = false; !ended;) {
      const room = socket.write(piece) ? Promise.resolve() : once(socket, 'drain');
      ended = await Promise.race([room.then(() => false), answered.then(() => true)]);
    }
    expect((await answered)[0].toString('latin1')).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
    expect(errors).toEqual([]);
  });

  test('a refusal of a request without a body keeps the connection', async () => {
    const socket = open();
    socket.write('GET /v2/nothing HTTP/1.1\r\nHost: a\r\n\r\n');
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString('latin1')).toMatch(/^HTTP\/1\.1 404 [^]*\r\nConnection: keep-alive\r\n/);
    socket.destroy();
  });

  test('headers that are too large are refused', async () => {
    const socket = open();
    socket.write(`GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(await readToEnd(socket)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('a registry that is read-only, or deletes nothing, says 405', async () => {
    await using fixed = await serveRegistry({ listen: '127.0.0.1:0', rootDir, readOnly: true });
    expect((await fetch(`${fixed.url}/v2/a/blobs/uploads/`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${fixed.url}/v2/`)).status).toBe(200);
    await using kept = await serveRegistry({ listen: '127.0.0.1:0', rootDir, deletable: false });
    expect((await fetch(`${kept.url}/v2/a/manifests/v1`, { method: 'DELETE' })).status).toBe(405);
    expect((await fetch(`${kept.url}/v2/a/blobs/uploads/`, { method: 'POST' })).status).toBe(202);
  });
});
