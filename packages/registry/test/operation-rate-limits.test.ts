import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';

import { createRateLimiter, createRegistry } from '../src/index.ts';
import type { AccessControl, RateLimits, RegistryOptions, RequestRecord } from '../src/index.ts';
import { networkOf } from '../src/operation/rate-limiter.ts';
import { TokenBuckets } from '../src/operation/token-buckets.ts';
import { readToEnd, send, serve, until } from './operation-server.ts';
import { pushImage, pushManifest } from './page-content.ts';

const access: AccessControl = {
  authorize: ({ headers }) =>
    Promise.resolve({ account: headers.authorization, mayPull: () => true, mayPullAll: true }),
};
const limited = (limits: RateLimits): Partial<RegistryOptions> => ({
  access,
  limiter: createRateLimiter(limits),
  trustedProxies: ['127.0.0.0/8'],
});
const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });
const statuses = async (
  url: string,
  times: number,
  headers: Record<string, string> = {},
): Promise<readonly number[]> => {
  const found: number[] = [];
  for (let time = 0; time < times; time++) found.push((await fetch(url, { headers })).status);
  return found;
};

describe('rates', () => {
  test('one address too many is told when to come back, and is let in then', async () => {
    await using server = await serve(() => limited({ perAddress: { requests: 2, perSeconds: 1 } }));
    expect(await statuses(`${server.url}/v2/`, 2)).toEqual([200, 200]);
    const refused = await fetch(`${server.url}/v2/`);
    expect(refused.status).toBe(429);
    expect(Object.fromEntries(refused.headers)).toMatchObject({
      'retry-after': '1',
      'ratelimit-limit': '2;w=1',
      'ratelimit-remaining': '0;w=1',
    });
    expect(await refused.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] });
    await sleep(1000);
    const later = await fetch(`${server.url}/v2/`);
    expect([later.status, later.headers.get('ratelimit-remaining')]).toEqual([200, '1;w=1']);
  });

  test('addresses behind a trusted proxy are told apart, those that a client made up are not', async () => {
    await using server = await serve(() => limited({ perAddress: { requests: 1, perSeconds: 1000 } }));
    const v2 = `${server.url}/v2/`;
    expect(await statuses(v2, 2, from('203.0.113.1'))).toEqual([200, 429]);
    expect(await statuses(v2, 1, from('203.0.113.2'))).toEqual([200]);
    expect(await statuses(v2, 1, from('198.51.100.77, 203.0.113.1, 127.0.0.9'))).toEqual([429]);
    expect(await statuses(v2, 1, from('2001:db8:1:2::1'))).toEqual([200]);
    expect(await statuses(v2, 1, from('[2001:db8:1:2:ffff::9]:4711'))).toEqual([429]);
    expect(await statuses(v2, 1, from('2001:db8:1:3::1'))).toEqual([200]);
    expect(await statuses(v2, 2, from('not an address'))).toEqual([200, 429]);
  });

  test('a header of somebody who is no proxy of ours says nothing', async () => {
    await using server = await serve(() => ({
      limiter: createRateLimiter({ perAddress: { requests: 1, perSeconds: 1000 } }),
    }));
    expect(await statuses(`${server.url}/v2/`, 1, from('203.0.113.1'))).toEqual([200]);
    expect(await statuses(`${server.url}/v2/`, 1, from('203.0.113.2'))).toEqual([429]);
  });

  test('an account is one client wherever it asks from', async () => {
    await using server = await serve(() => limited({ perAccount: { requests: 1, perSeconds: 1000 } }));
    const v2 = `${server.url}/v2/`;
    expect(await statuses(v2, 1, { ...from('203.0.113.1'), authorization: 'alice' })).toEqual([200]);
    expect(await statuses(v2, 1, { ...from('203.0.113.2'), authorization: 'alice' })).toEqual([429]);
    expect(await statuses(v2, 1, { ...from('203.0.113.2'), authorization: 'bob' })).toEqual([200]);
    expect(await statuses(v2, 2, from('203.0.113.2'))).toEqual([200, 200]);
  });

  test('a pull is a manifest, and neither a look at it nor a blob', async () => {
    await using server = await serve(() => limited({ pulls: { requests: 1, perSeconds: 1000 } }));
    await pushImage(server.storage, 'a', { tags: ['v1'] });
    const manifest = `${server.url}/v2/a/manifests/v1`;
    for (let time = 0; time < 3; time++) expect((await fetch(manifest, { method: 'HEAD' })).status).toBe(200);
    expect(await statuses(manifest, 2)).toEqual([200, 429]);
    expect(await statuses(`${server.url}/v2/a/tags/list`, 2)).toEqual([200, 200]);
    expect(await statuses(manifest, 1, { authorization: '127.0.0.1' })).toEqual([200]);
  });

  test('a push is a manifest too', async () => {
    await using server = await serve(() => limited({ pushes: { requests: 1, perSeconds: 1000 } }));
    const push = async (tag: string): Promise<number> => {
      const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
      const body = JSON.stringify({ schemaVersion: 2, mediaType: headers['content-type'], manifests: [] });
      return (await fetch(`${server.url}/v2/a/manifests/${tag}`, { method: 'PUT', headers, body })).status;
    };
    expect([await push('v1'), await push('v2')]).toEqual([201, 429]);
    await expect(server.storage.resolveTag('a', 'v2')).rejects.toThrow();
  });

  test('so many at once are served, and the next when one of them is done or gone', async () => {
    await using server = await serve(() => limited({ concurrentPerAddress: 2 }));
    const open = async (): Promise<ReturnType<typeof send>> => {
      const id = await server.storage.startUpload('a', 'sha256');
      return send(server.port, `PATCH /v2/a/blobs/uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1`);
    };
    const first = await open();
    const second = await open();
    const status = async (): Promise<number> => (await fetch(`${server.url}/v2/`)).status;
    await until('two are under way', async () => (await status()) === 429);
    expect((await fetch(`${server.url}/v2/`, { headers: from('203.0.113.1') })).status).toBe(200);
    first.destroy();
    await until('one is gone', async () => (await status()) === 200);
    second.write('23456789');
    await once(second, 'data');
    second.destroy();
    await until('both are', async () => (await status()) === 200);
  });
});

describe('what is remembered', () => {
  test('is bounded, and forgets who asked longest ago', () => {
    let nowMs = 0;
    const buckets = new TokenBuckets({ requests: 1, perSeconds: 10 }, 3, () => nowMs);
    for (let client = 0; client < 1000; client++) buckets.take(String(client));
    expect(buckets.size).toBe(3);
    expect(buckets.take('999').retryMs).toBe(10_000);
    nowMs = 4000;
    expect(buckets.take('999').retryMs).toBeCloseTo(6000);
    nowMs = 10_000;
    expect(buckets.take('999').retryMs).toBeUndefined();
  });

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['2001:DB8:00a::', '2001:db8:a:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  test.each([{ perAddress: { requests: 0, perSeconds: 1 } }, { concurrentPerAddress: 0 }, { trackedMax: -1 }])(
    '%j is refused',
    (limits) => {
      expect(() => createRateLimiter(limits)).toThrow(TypeError);
    },
  );

  test('a proxy that is no address is refused', async () => {
    await using server = await serve(() => ({}));
    const { storage } = server;
    expect(() => createRegistry({ storage, trustedProxies: ['10.0.0.0/33'] })).toThrow('no network');
  });
});

describe('clients that trickle', () => {
  const limits = { stallTimeoutMs: 200, minBytesPerSecond: 1000 };

  test('a writer that is never silent and never done is a 408', async () => {
    await using server = await serve(() => ({ limits }));
    const id = await server.storage.startUpload('a', 'sha256');
    const socket = send(
      server.port,
      `PATCH /v2/a/blobs/uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n`,
    );
    const drip = setInterval(() => socket.write('1'), 20).unref();
    const answer = await readToEnd(socket);
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1\.1 408 [^]*BLOB_UPLOAD_INVALID/);
    expect(server.failures).toEqual([]);
  });

  test('a writer that is slow, but not that slow, is served', async () => {
    await using server = await serve(() => ({ limits: { stallTimeoutMs: 800, minBytesPerSecond: 1000 } }));
    const id = await server.storage.startUpload('a', 'sha256');
    const socket = send(
      server.port,
      `PATCH /v2/a/blobs/uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n`,
    );
    let written = 0;
    const drip = setInterval(() => {
      if ((written += 100) <= 4000) socket.write('1'.repeat(100));
    }, 40).unref();
    const [answer] = (await once(socket, 'data')) as [Buffer];
    clearInterval(drip);
    socket.destroy();
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 202 /);
  });

  test('a reader that takes a little now and then is dropped', async () => {
    const records: RequestRecord[] = [];
    await using server = await serve(() => ({
      limits: { stallTimeoutMs: 300, minBytesPerSecond: 4_000_000 },
      onRequest: (record) => records.push(record),
    }));
    const { storage } = server;
    const upload = { name: 'a', id: await storage.startUpload('a', 'sha256') };
    const chunk = new Uint8Array(1024 * 1024);
    const digest = 'sha256:83ee47245398adee79bd9c0a8bc57b821e92aba10f5f9ade8a5d1fae4d8c4302';
    await storage.appendUpload(upload, {
      offset: 0,
      body: (async function* (): AsyncGenerator<Uint8Array> {
        for (let mebibyte = 0; mebibyte < 32; mebibyte++) yield await Promise.resolve(chunk);
      })(),
    });
    await storage.finishUpload(upload, digest);
    const socket = send(server.port, `GET /v2/a/blobs/${digest} HTTP/1.1\r\nHost: a\r\n\r\n`);
    socket.on('readable', () => undefined);
    const sip = setInterval(() => void socket.read(20_000), 20).unref();
    await until('the server has given up', () => records.length === 1);
    clearInterval(sip);
    socket.destroy();
    expect(records[0]).toMatchObject({ status: 200, complete: false });
    expect(records[0]?.sentBytes).toBeLessThan(chunk.byteLength * 32);
    expect(server.failures).toEqual([]);
  });

  test('a reader that asks for much at once and takes none of it is dropped, and one that is slow is not', async () => {
    const records: RequestRecord[] = [];
    await using server = await serve(() => ({
      limits: { stallTimeoutMs: 1500, minBytesPerSecond: 10_000 },
      onRequest: (record) => records.push(record),
    }));
    await pushManifest(server.storage, 'a', {
      document: { annotations: { big: 'x'.repeat(4_000_000) } },
      tags: ['v1'],
    });
    const asked = 'GET /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(5);
    const idle = send(server.port, asked);
    idle.pause();
    await until('it is dropped', () => records.some(({ complete }) => !complete));
    idle.destroy();
    const slow = send(server.port, asked);
    slow.on('readable', () => undefined);
    let read = 0;
    const sip = setInterval(() => {
      for (let part = slow.read(200_000) as Buffer | null; part !== null; part = null) read += part.byteLength;
    }, 20).unref();
    await until('it has all of it', () => read + slow.readableLength > 5 * 4_000_000);
    clearInterval(sip);
    slow.destroy();
    expect(server.failures).toEqual([]);
  });
});
