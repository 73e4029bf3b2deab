import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { get as httpGet } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { beforeAll, expect, test } from '@jest/globals';
import { composeArtifact } from '@tsc/image';
import type { Artifact } from '@tsc/image';

import { describeRoot } from '../../../test/root.ts';
import { newManifest } from '../src/upstream/documents.ts';
import { artifactOf, push, sha256, startCache, startPlain, until, watchUpstream } from './upstream-servers.ts';
import type { CacheServer, Intercept, PlainRegistry } from './upstream-servers.ts';

/** A manifest at a registry whose blob is whatever a test answers with. */
async function seed(origin: PlainRegistry, digest: `sha256:${string}`, size: number): Promise<Artifact> {
  const descriptor = { mediaType: 'text/plain', digest, size };
  const open = (): never => {
    throw new Error('nobody reads it');
  };
  const artifact = composeArtifact({ artifactType: 'text/test', blobs: [{ descriptor, open }] });
  const stored = { mediaType: artifact.descriptor.mediaType, bytes: artifact.bytes };
  await origin.storage.writeManifest('app', newManifest(stored, artifact.descriptor.digest, ['1']));
  return artifact;
}

/** Answers for blobs in a test's own way. */
const blobsBy =
  (answer: (request: IncomingMessage, response: ServerResponse) => void): Intercept =>
  (request, response) => {
    if (request.url?.includes('/blobs/') !== true || request.method !== 'GET') return false;
    answer(request, response);
    return true;
  };

const statusOf = async (server: CacheServer, path: string): Promise<number> => {
  const answer = await fetch(`${server.url}/v2/hub/app/${path}`);
  await answer.arrayBuffer();
  return answer.status;
};

const readBlob = async (server: CacheServer, digest: string, signal?: AbortSignal): Promise<Buffer> => {
  const answer = await fetch(`${server.url}/v2/hub/app/blobs/${digest}`, signal === undefined ? {} : { signal });
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
};

const isStored = (server: CacheServer, digest: `sha256:${string}`): Promise<boolean> =>
  server.storage.statBlob('hub/app', digest).then(
    () => true,
    () => false,
  );

/** Nothing of what was under way is left. */
async function expectNothingLeft({ rootDir, spoolDir }: CacheServer): Promise<void> {
  for (const dir of [join(rootDir, 'uploads'), join(rootDir, 'temporary'), spoolDir])
    await until(async () => (await readdir(dir)).length === 0);
}

/** What buffers take that somebody still holds. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

const fast = { prefix: 'hub', answerTimeoutMs: 1000, awayMs: 100, tagTtlMs: 0, absentTtlMs: 0 };

describeRoot('a cache whose upstreams or clients misbehave', () => {
  beforeAll(async () => {
    // The threads that send files are started with the first one, and stay.
    await using plain = await startPlain();
    const bytes = randomBytes(1_000_000);
    await push(`${plain.domain}/app:1`, artifactOf(bytes));
    await (await fetch(`${plain.url}/v2/app/blobs/${sha256(bytes)}`)).arrayBuffer();
  });

  test('a lie of upstream breaks off the answer, and is never kept', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const [bytes, lie] = [randomBytes(300_000), randomBytes(300_000)];
    const image = await seed(origin, sha256(bytes), bytes.length);
    await using server = await startCache([{ ...fast, registry: upstream.domain }]);
    expect(await statusOf(server, 'manifests/1')).toBe(200);
    upstream.intercept = blobsBy((_request, response) => response.end(lie));
    await expect(readBlob(server, sha256(bytes))).rejects.toThrow();
    await expectNothingLeft(server);
    expect(await isStored(server, sha256(bytes))).toBe(false);
    upstream.intercept = blobsBy((_request, response) => response.end(lie.subarray(1)));
    await expect(readBlob(server, sha256(bytes))).rejects.toThrow();
    upstream.intercept = blobsBy((_request, response) => response.end(bytes));
    expect((await readBlob(server, sha256(bytes))).equals(bytes)).toBe(true);

    // The same of a blob that comes at once, and of a manifest.
    const few = randomBytes(5);
    await seed(origin, sha256(few), few.length);
    upstream.intercept = blobsBy((_request, response) => response.end(lie.subarray(0, 5)));
    expect(await statusOf(server, 'manifests/1')).toBe(200);
    await expect(readBlob(server, sha256(few))).rejects.toThrow();
    expect(await isStored(server, sha256(few))).toBe(false);
    const other = `sha256:${'0'.repeat(64)}`;
    upstream.intercept = (request, response) => {
      if (request.url !== `/v2/app/manifests/${other}`) return false;
      response.writeHead(200, { 'content-type': image.descriptor.mediaType }).end(image.bytes);
      return true;
    };
    expect(await statusOf(server, `manifests/${other}`)).toBe(502);
    upstream.intercept = () => false;
    expect(await statusOf(server, `manifests/${other}`)).toBe(404);
    expect(server.failures).toEqual([]);
  });

  test('bytes arrive as upstream sends them, and who goes away takes nothing from others', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const bytes = randomBytes(400_000);
    await seed(origin, sha256(bytes), bytes.length);
    await using server = await startCache([{ ...fast, registry: upstream.domain, abandoned: 'stop' }]);
    await statusOf(server, 'manifests/1');
    const rest = Promise.withResolvers<undefined>();
    let asked = 0;
    upstream.intercept = blobsBy((_request, response) => {
      asked += 1;
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 100_000));
      void rest.promise.then(() => response.end(bytes.subarray(100_000)));
    });
    const leaving = new AbortController();
    const first = await fetch(`${server.url}/v2/hub/app/blobs/${sha256(bytes)}`, { signal: leaving.signal });
    const reader = (first.body as ReadableStream<Uint8Array> | null)?.getReader();
    const { value } = (await reader?.read()) ?? {};
    expect(Buffer.from(value ?? []).equals(bytes.subarray(0, value?.length))).toBe(true);
    const others = [1, 2, 3].map(() => readBlob(server, sha256(bytes)));
    await until(() => server.told().filter((line) => line === 'fetched blob').length === 4);
    leaving.abort();
    await reader?.closed.catch(() => undefined);
    rest.resolve(undefined);
    for (const other of await Promise.all(others)) expect(other.equals(bytes)).toBe(true);
    expect(asked).toBe(1);
    await until(() => isStored(server, sha256(bytes)));
    await expectNothingLeft(server);
  });

  test('a download that nobody waits for ends, unless half of it has come', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const bytes = randomBytes(400_000);
    await seed(origin, sha256(bytes), bytes.length);
    await using server = await startCache([{ ...fast, registry: upstream.domain }]);
    await statusOf(server, 'manifests/1');
    const leaveAt = async (sentBytes: number): Promise<ServerResponse> => {
      const answered = Promise.withResolvers<ServerResponse>();
      upstream.intercept = blobsBy((_request, response) => {
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, sentBytes));
        answered.resolve(response);
      });
      const leaving = new AbortController();
      const answer = await fetch(`${server.url}/v2/hub/app/blobs/${sha256(bytes)}`, { signal: leaving.signal });
      let read = 0;
      const reader = (answer.body as ReadableStream<Uint8Array> | null)?.getReader();
      while (read < sentBytes) read += (await reader?.read())?.value?.length ?? Infinity;
      leaving.abort();
      await reader?.closed.catch(() => undefined);
      return await answered.promise;
    };
    const early = await leaveAt(100_000);
    await once(early, 'close');
    await expectNothingLeft(server);
    const late = await leaveAt(300_000);
    await sleep(50);
    late.end(bytes.subarray(300_000));
    await until(() => isStored(server, sha256(bytes)));
    await expectNothingLeft(server);
  });

  test('a range far ahead is fetched by itself, but the end of a blob only when all of it is verified', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const bytes = randomBytes(400_000);
    await seed(origin, sha256(bytes), bytes.length);
    await using server = await startCache([{ ...fast, registry: upstream.domain }], { skipAheadBytes: 50_000 });
    await statusOf(server, 'manifests/1');
    const rest = Promise.withResolvers<undefined>();
    upstream.intercept = blobsBy((request, response) => {
      if (request.headers.range !== undefined) {
        expect(request.headers.range).toBe('bytes=300000-300009');
        response.writeHead(206, { 'content-range': 'bytes 300000-300009/400000' });
        response.end(bytes.subarray(300_000, 300_010));
        return;
      }
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 100_000));
      void rest.promise.then(() => response.end(bytes.subarray(100_000)));
    });
    const url = `${server.url}/v2/hub/app/blobs/${sha256(bytes)}`;
    const end = fetch(url, { headers: { range: 'bytes=-10' } });
    const middle = await fetch(url, { headers: { range: 'bytes=300000-300009' } });
    expect(Buffer.from(await middle.arrayBuffer())).toEqual(bytes.subarray(300_000, 300_010));
    rest.resolve(undefined);
    expect(Buffer.from(await (await end).arrayBuffer())).toEqual(bytes.subarray(-10));
    await until(() => isStored(server, sha256(bytes)));
    await expectNothingLeft(server);
  });

  test('a connection that is cut goes on at the same byte; an upstream that stays away breaks the answer off', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const bytes = randomBytes(400_000);
    await seed(origin, sha256(bytes), bytes.length);
    await using server = await startCache([{ ...fast, registry: upstream.domain }]);
    await statusOf(server, 'manifests/1');
    const cut: Parameters<typeof blobsBy>[0] = (_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 150_000), () => setTimeout(() => response.destroy(), 20));
    };
    upstream.intercept = blobsBy((request, response) => {
      const [, from] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
      if (from === undefined) cut(request, response);
      else {
        response.writeHead(206, { 'content-range': `bytes ${from}-399999/400000` });
        response.end(bytes.subarray(Number(from)));
      }
    });
    expect((await readBlob(server, sha256(bytes))).equals(bytes)).toBe(true);
    await until(() => isStored(server, sha256(bytes)));
    await server.storage.deleteBlob('hub/app', sha256(bytes));
    upstream.intercept = blobsBy((request, response) => {
      if (request.headers.range === undefined) cut(request, response);
      else response.destroy();
    });
    await expect(readBlob(server, sha256(bytes))).rejects.toThrow();
    await expectNothingLeft(server);
    expect(await isStored(server, sha256(bytes))).toBe(false);
  });

  test.each([
    ['asks to come again later', (response: ServerResponse) => void response.writeHead(429).end(), 429],
    ['fails', (response: ServerResponse) => void response.writeHead(503).end(), 502],
    ['never answers', () => undefined, 504],
    ['hangs up', (response: ServerResponse) => void response.destroy(), 502],
  ])('an upstream that %s: what is here is served, in bounded time', async (_how, misbehave, status) => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const image = artifactOf(randomBytes(10));
    await push(`${origin.domain}/app:1`, image);
    await using server = await startCache([{ ...fast, registry: upstream.domain, awayMs: 60_000 }]);
    expect(await statusOf(server, 'manifests/1')).toBe(200);
    upstream.intercept = (_request, response) => {
      misbehave(response);
      return true;
    };
    const startMs = performance.now();
    const stale = await fetch(`${server.url}/v2/hub/app/manifests/1`);
    expect(Buffer.from(await stale.arrayBuffer())).toEqual(image.bytes);
    expect(stale.headers.get('warning')).toContain('did not answer');
    expect(performance.now() - startMs).toBeLessThan(3000);
    // For a while it isn't asked again for what is here.
    upstream.requests.splice(0);
    expect(await statusOf(server, 'manifests/1')).toBe(200);
    expect(upstream.requests).toEqual([]);
    expect(await statusOf(server, 'manifests/2')).toBe(status);
    expect(performance.now() - startMs).toBeLessThan(6000);
  });

  test('a large blob takes no memory, and a slow client holds nobody back', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const [pieceBytes, pieces] = [1024 * 1024, 300];
    const piece = randomBytes(pieceBytes);
    const held: number[] = [];
    const hash = createHash('sha256');
    for (let i = 0; i < pieces; i += 1) hash.update(piece);
    const digest: `sha256:${string}` = `sha256:${hash.digest('hex')}`;
    await seed(origin, digest, pieceBytes * pieces);
    await using server = await startCache([{ ...fast, registry: upstream.domain }]);
    await statusOf(server, 'manifests/1');
    upstream.intercept = blobsBy((_request, response) => {
      const send = async (): Promise<void> => {
        response.writeHead(200, { 'content-length': pieceBytes * pieces });
        for (let i = 0; i < pieces; i += 1) {
          if (!response.write(piece)) await once(response, 'drain');
          if (i % 100 === 99) held.push(heldBytes());
        }
        response.end();
      };
      send().catch(() => response.destroy());
    });
    const url = `${server.url}/v2/hub/app/blobs/${digest}`;
    const [slow] = (await once(httpGet(url), 'response')) as [IncomingMessage];
    const read = async (): Promise<string> => {
      const [answer] = (await once(httpGet(url), 'response')) as [IncomingMessage];
      const seen = createHash('sha256');
      for await (const chunk of answer as AsyncIterable<Buffer>) seen.update(chunk);
      return `sha256:${seen.digest('hex')}`;
    };
    expect(await Promise.all([read(), read()])).toEqual([digest, digest]);
    // What is waiting for the slow client is in the file.
    expect(Math.max(...held) / 1024 ** 2).toBeLessThan(32);
    await until(() => isStored(server, digest));
    // The slow one gets all of it too, from a file that has no name any more.
    const seen = createHash('sha256');
    for await (const chunk of slow as AsyncIterable<Buffer>) seen.update(chunk);
    expect(`sha256:${seen.digest('hex')}`).toBe(digest);
    await expectNothingLeft(server);
  }, 240_000);
});
