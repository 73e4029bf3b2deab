import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { isRegistryConfigError, openFileSystemStorage, serveRegistry } from '../src/index.ts';
import type { Endpoint, RegistryServer, ServeOptions } from '../src/index.ts';
import { statusOf } from './access-steps.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tsc-registry-serve-'));
});
afterAll(() => rm(dir, { recursive: true }));

const serve = (options: Partial<ServeOptions> = {}): Promise<RegistryServer> =>
  serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root'), ...options });

describe('nothing is open by oversight', () => {
  const everybody = { anonymous: ['pull', 'push', 'delete'] } as const;
  test.each([
    ['without accounts', {}, 'add access with accounts'],
    ['without accounts, though over plain HTTP', { plainHttp: true }, 'add access with accounts'],
    ['without TLS', { access: everybody }, 'add tls with certFile and keyFile, or plainHttp: true'],
  ])('beyond loopback, %s, is refused', async (_what, options, why) => {
    for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:5000']) {
      const refusal = await serve({ listen, ...options }).catch((error: unknown) => error);
      expect(isRegistryConfigError(refusal) && [refusal.code, refusal.message]).toEqual([
        'CONFIG_UNSAFE',
        expect.stringContaining(why),
      ]);
    }
  });

  test('what is said to be fine gets as far as the kernel', async () => {
    // 192.0.2.1 is nobody's address, so nothing is ever listened on.
    const options = { listen: '192.0.2.1:5000', access: everybody, plainHttp: true };
    await expect(serve(options)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  test('localhost is loopback, and is what references begin with', async () => {
    await using server = await serve({ listen: 'localhost:0' });
    expect(server.domain).toMatch(/^localhost:\d+$/);
    expect(await statusOf(`${server.url}/v2/`)).toBe(200);
  });

  test('options that say where to keep things twice, or never, are refused', async () => {
    await using storage = await openFileSystemStorage(join(dir, 'root'));
    for (const options of [{}, { rootDir: dir, storage }]) {
      await expect(serveRegistry({ listen: '127.0.0.1:0', ...options })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    }
    await using server = await serveRegistry({ listen: '127.0.0.1:0', storage });
    expect(await statusOf(`${server.url}/v2/`)).toBe(200);
  });
});

/** An endpoint that answers when it is told to. */
function makeSlow(): Endpoint & { readonly arrived: Promise<void>; readonly go: () => void } {
  const arrived = Promise.withResolvers<undefined>();
  const gate = Promise.withResolvers<undefined>();
  return {
    path: '/slow',
    needs: [],
    arrived: arrived.promise,
    go: () => gate.resolve(undefined),
    handle: async ({ response }) => {
      arrived.resolve(undefined);
      await gate.promise;
      response.end('done');
    },
  };
}

describe('the end of a server', () => {
  test('lets requests end, takes no new connection, and turns away what comes on old ones', async () => {
    const slow = makeSlow();
    const server = await serve({ endpoints: [slow] });
    const raw = connect(Number(new URL(server.url).port), '127.0.0.1');
    const read = readAll(raw);
    raw.write('GET /v2/_catalog HTTP/1.1\r\nHost: a\r\nX: ');
    const running = fetch(`${server.url}/slow`);
    await slow.arrived;
    const closed = server.close();
    const again = server.close({ graceMs: 0 });
    await expect(fetch(`${server.url}/v2/`)).rejects.toThrow();
    // A request that was on its way.
    raw.write('b\r\n\r\n');
    const answer = await read;
    expect(answer).toMatch(/^HTTP\/1\.1 503 .*\r\nConnection: close\r\n/s);
    expect(answer).toContain('"errors":[{"code":"UNSUPPORTED"');
    slow.go();
    const done = await running;
    expect([done.status, await done.text(), done.headers.get('connection')]).toEqual([200, 'done', 'close']);
    await Promise.all([closed, again]);
  });

  test('waits for a kept connection no longer than for its request', async () => {
    const slow = makeSlow();
    const server = await serve({ endpoints: [slow], keepAliveTimeoutMs: 60_000 });
    const agent = new Agent({ keepAlive: true });
    const status = (path: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const outgoing = request(`${server.url}${path}`, { agent }, (answer) => {
          answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
        });
        outgoing.on('error', reject).end();
      });
    expect(await status('/v2/')).toBe(200);
    const running = status('/slow');
    await slow.arrived;
    const begun = performance.now();
    const closed = server.close();
    slow.go();
    expect(await running).toBe(200);
    await closed;
    expect(performance.now() - begun).toBeLessThan(5000);
    agent.destroy();
  });

  test('breaks off what takes longer than it is given', async () => {
    const slow = makeSlow();
    const server = await serve({ endpoints: [slow] });
    const running = fetch(`${server.url}/slow`).then(
      () => 'answered',
      () => 'broken off',
    );
    await slow.arrived;
    const closed = server.close({ graceMs: 50 });
    expect(await running).toBe('broken off');
    slow.go();
    await closed;
  });
});

const readAll = async (socket: Socket): Promise<string> =>
  Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString();

describe('limits of connections', () => {
  test('more than the most are closed at once, and one that goes makes room', async () => {
    await using server = await serve({ maxConnections: 2 });
    const open = (): Socket => connect(Number(new URL(server.url).port), '127.0.0.1');
    const held = [open(), open()];
    for (const socket of held) {
      socket.write('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n');
      await new Promise((resolve) => socket.once('data', resolve));
    }
    expect(await readAll(open()).catch(() => '')).toBe('');
    held[0]?.destroy();
    let answer = '';
    while (answer === '') {
      const socket = open();
      socket.end('GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      answer = await readAll(socket).catch(() => '');
    }
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    held[1]?.destroy();
  });

  test('headers that never end get a 408', async () => {
    await using server = await serve({ headersTimeoutMs: 200 });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('GET /v2/ HTTP/1.1\r\nX-Slow: ');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('a connection that nothing comes on is closed after a while', async () => {
    await using server = await serve({ keepAliveTimeoutMs: 100 });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });
});
