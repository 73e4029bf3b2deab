import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { describe, expect, test } from '@jest/globals';

import {
  blobFromBytes,
  openRegistryClient,
  type Blob,
  type RegistryClientOptions,
  type UploadBlobOptions,
} from '../src/index.ts';
import { QUICK, sendError, startServer } from './registry-server.ts';
import { startUploadRegistry, type UploadRegistry } from './upload-registry.ts';

const BYTES = randomBytes(1_000_000);
const BLOB = blobFromBytes(BYTES, 'application/octet-stream');
const { digest: DIGEST } = BLOB.descriptor;
const ALICE = { credentialFor: () => Promise.resolve({ username: 'alice', password: 'correct horse' }) };

const upload = async (
  registry: UploadRegistry,
  options: UploadBlobOptions = {},
  client: RegistryClientOptions & { readonly blob?: Blob } = {},
): Promise<string> => {
  await using opened = openRegistryClient({ retry: QUICK, ...client });
  return await opened.repository(`${registry.domain}/team/app`).uploadBlob(client.blob ?? BLOB, options);
};

const has = ({ blobs }: UploadRegistry): boolean => blobs.get(DIGEST)?.equals(BYTES) === true;

describe('uploadBlob', () => {
  test('sends a blob in one request, and not again', async () => {
    await using registry = await startUploadRegistry();
    await expect(upload(registry)).resolves.toBe('uploaded');
    expect(registry.log).toEqual(['POST', 'PUT - 1000000']);
    expect(has(registry)).toBe(true);
    await expect(upload(registry)).resolves.toBe('present');
    expect(registry.log).toHaveLength(2);
  });

  test('sends chunks of the size asked for, or the least that the registry wants', async () => {
    await using registry = await startUploadRegistry();
    await upload(registry, { chunkBytes: 400_000 });
    expect(registry.log).toEqual([
      'POST',
      'PATCH 0-399999 400000',
      'PATCH 400000-799999 400000',
      'PATCH 800000-999999 200000',
      'PUT - 0',
    ]);
    expect(has(registry)).toBe(true);
    await using coarse = await startUploadRegistry({ minChunk: 600_000 });
    await upload(coarse, { chunkBytes: 1 });
    expect(coarse.log.slice(1)).toEqual(['PATCH 0-599999 600000', 'PATCH 600000-999999 400000', 'PUT - 0']);
    expect(has(coarse)).toBe(true);
    await expect(upload(coarse, { chunkBytes: 0 })).rejects.toThrow(RangeError);
  });

  test('goes on where the registry says after a drop', async () => {
    await using registry = await startUploadRegistry({ drops: { 1: 300_000, 2: 50_000 } });
    await expect(upload(registry)).resolves.toBe('uploaded');
    expect(registry.log).toEqual([
      'POST',
      'PUT - 300000',
      'GET',
      'PATCH 300000-999999 50000',
      'GET',
      'PATCH 350000-999999 650000',
      'PUT - 0',
    ]);
    expect(has(registry)).toBe(true);
  });

  test('goes on after a dropped chunk', async () => {
    await using registry = await startUploadRegistry({ drops: { 2: 100_000 } });
    await upload(registry, { chunkBytes: 400_000 });
    expect(registry.log).toEqual([
      'POST',
      'PATCH 0-399999 400000',
      'PATCH 400000-799999 100000',
      'GET',
      'PATCH 500000-899999 400000',
      'PATCH 900000-999999 100000',
      'PUT - 0',
    ]);
    expect(has(registry)).toBe(true);
  });

  test('begins again where the registry has forgotten the upload', async () => {
    await using registry = await startUploadRegistry({ drops: { 1: 300_000 }, forgets: true });
    await upload(registry);
    expect(registry.log).toEqual(['POST', 'PUT - 300000', 'POST', 'PUT - 1000000']);
    expect(has(registry)).toBe(true);
  });

  test('goes on where the registry has taken only a part of a request', async () => {
    await using registry = await startUploadRegistry({ takes: 300_000 });
    await upload(registry, { chunkBytes: 500_000 });
    expect(registry.log.slice(1)).toEqual([
      'PATCH 0-499999 300000',
      'PATCH 300000-799999 300000',
      'PATCH 600000-999999 300000',
      'PATCH 900000-999999 100000',
      'PUT - 0',
    ]);
    expect(has(registry)).toBe(true);
  });

  test('takes up a lost answer: the blob is there after all', async () => {
    let dropped = 0;
    await using registry = await startUploadRegistry({
      first: (request, response) => {
        if (request.method === 'HEAD' && dropped > 0) {
          response.writeHead(200).end();
          return true;
        }
        if (request.method !== 'PUT') return false;
        dropped += 1;
        response.socket?.destroy();
        return true;
      },
    });
    await expect(upload(registry)).resolves.toBe('uploaded');
    expect(dropped).toBe(1);
  });

  test('waits out 429 and 503, and gives up when nothing moves', async () => {
    let refusals = 0;
    await using registry = await startUploadRegistry({
      first: (request, response) => {
        if (request.method !== 'PUT' || refusals >= 2) return false;
        refusals += 1;
        sendError(response, refusals === 1 ? 429 : 503, 'TOOMANYREQUESTS');
        return true;
      },
    });
    await expect(upload(registry)).resolves.toBe('uploaded');
    expect(has(registry)).toBe(true);
    await using down = await startUploadRegistry({ drops: { 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0 } });
    await expect(upload(down)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(down.log.filter((line) => line.startsWith('PUT'))).toHaveLength(QUICK.attempts);
  });

  test('mounts from another repository, or sends when none has it', async () => {
    await using registry = await startUploadRegistry({ mountable: { 'other/b': DIGEST } });
    await expect(upload(registry, { mountFrom: ['team/app', 'other/a', 'other/b'] })).resolves.toBe('mounted');
    expect(registry.log).toEqual(['POST other/a', 'POST other/b']);
    await using without = await startUploadRegistry();
    await expect(upload(without, { mountFrom: ['other/a', 'other/b'] })).resolves.toBe('uploaded');
    // The upload that the last refused mount has begun is used, and the one before taken back.
    expect(without.log).toEqual(['POST other/a', 'POST other/b', 'DELETE', 'PUT - 1000000']);
    await expect(upload(without, { mountFrom: ['../x'] })).resolves.toBe('present');
    await using strict = await startUploadRegistry();
    await expect(upload(strict, { mountFrom: ['../x'] })).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });

  test('sends to where it is told, with the query, and without credentials to another origin', async () => {
    const protect = (
      request: { headers: { authorization?: string | undefined } },
      response: Parameters<typeof sendError>[0],
    ): boolean => {
      if (request.headers.authorization !== undefined) return false;
      response.setHeader('www-authenticate', 'Basic realm=x');
      sendError(response, 401, 'UNAUTHORIZED');
      return true;
    };
    await using relative = await startUploadRegistry({ first: protect });
    await expect(upload(relative, {}, { credentials: ALICE })).resolves.toBe('uploaded');
    expect(relative.requests.filter(({ headers }) => headers.authorization === undefined)).toHaveLength(1);
    await using thief = await startServer((_, response) => {
      response.writeHead(201).end();
    });
    await using registry = await startUploadRegistry({ first: protect, location: (path) => thief.url + path });
    await upload(registry, {}, { credentials: ALICE });
    expect(thief.requests.map(({ method, headers }) => [method, headers.authorization])).toEqual([['PUT', undefined]]);
  });

  test('a source that has changed is not sent to its end', async () => {
    const blobOf = (chunks: readonly Buffer[]): Blob => ({
      descriptor: BLOB.descriptor,
      open: () => Readable.from(chunks, { objectMode: false }),
    });
    for (const chunks of [[BYTES.subarray(1)], [BYTES, Buffer.alloc(1)]]) {
      await using registry = await startUploadRegistry();
      await expect(upload(registry, {}, { blob: blobOf(chunks) })).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
      expect(registry.blobs.size).toBe(0);
      expect(registry.log.at(-1)).toBe('DELETE');
    }
    const other = Buffer.from(BYTES);
    other[0] = (other[0] ?? 0) ^ 1;
    await using registry = await startUploadRegistry();
    await expect(upload(registry, {}, { blob: blobOf([other]) })).rejects.toMatchObject({
      code: 'REGISTRY_REFUSED',
      message: expect.stringContaining('DIGEST_INVALID'),
    });
    const broken: Blob = {
      descriptor: BLOB.descriptor,
      open: () =>
        Readable.from(
          (function* (): Generator<Buffer> {
            yield BYTES.subarray(0, 10);
            throw new Error('disk');
          })(),
        ),
    };
    await expect(upload(registry, {}, { blob: broken })).rejects.toThrow('disk');
  });

  test('an abort ends it with its reason, and closes the source', async () => {
    await using registry = await startServer(
      ({ method }, response) => {
        if (method === 'POST') response.writeHead(202, { location: '/upload' }).end();
        else if (method !== 'PUT') response.writeHead(404).end();
      },
      { early: true },
    );
    const controller = new AbortController();
    let source: Readable | undefined;
    const endless: Blob = {
      descriptor: { ...BLOB.descriptor, size: 1e12 },
      open: () =>
        (source = new Readable({
          read() {
            this.push(Buffer.alloc(65536));
          },
        })),
    };
    await using client = openRegistryClient({ retry: QUICK });
    const running = client.repository(`${registry.domain}/x`).uploadBlob(endless, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await expect(running).rejects.toThrow('enough');
    expect(source?.destroyed).toBe(true);
  });

  test('a registry that takes nothing is given up', async () => {
    await using registry = await startServer(
      ({ method }, response, raw) => {
        if (method === 'POST') response.writeHead(202, { location: '/upload' }).end();
        else if (method === 'PUT') raw.pause();
        else response.writeHead(404).end();
      },
      { early: true },
    );
    await using client = openRegistryClient({ retry: { ...QUICK, attempts: 1 }, timeouts: { stallMs: 300 } });
    const large = blobFromBytes(Buffer.alloc(64 * 1024 ** 2), 'application/octet-stream');
    const chunked: Blob = {
      ...large,
      open: () =>
        Readable.from(
          (function* (): Generator<Buffer> {
            for (let i = 0; i < 1024; i += 1) yield Buffer.alloc(65536);
          })(),
        ),
    };
    await expect(client.repository(`${registry.domain}/x`).uploadBlob(chunked)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('it stopped sending or taking data'),
    });
  });

  test('memory stays flat whatever the size', async () => {
    const chunk = Buffer.alloc(65536);
    const size = 400 * 1024 ** 2;
    let peak = 0;
    await using registry = await startServer(
      async ({ method }, response, raw) => {
        if (method === 'POST') response.writeHead(202, { location: '/upload' }).end();
        else if (method === 'PUT') {
          for await (const part of raw as AsyncIterable<Buffer>)
            peak = Math.max(peak, process.memoryUsage().rss + part.length * 0);
          response.writeHead(201).end();
        } else response.writeHead(404).end();
      },
      { early: true },
    );
    const before = process.memoryUsage().rss;
    const blob: Blob = {
      descriptor: { ...BLOB.descriptor, size },
      open: () =>
        Readable.from(
          (function* (): Generator<Buffer> {
            for (let i = 0; i < size / chunk.length; i += 1) yield chunk;
          })(),
        ),
    };
    await using client = openRegistryClient({ retry: QUICK });
    await expect(client.repository(`${registry.domain}/x`).uploadBlob(blob)).resolves.toBe('uploaded');
    expect(peak - before).toBeLessThan(150 * 1024 ** 2);
  });
});
