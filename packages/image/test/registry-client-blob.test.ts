import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';

import { openRegistryClient, type Descriptor, type RegistryClientOptions, type Repository } from '../src/index.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';
import { QUICK, sendError, sha256, startServer, type Handler, type Recorded } from './registry-server.ts';
import { scratch } from './scratch.ts';

const BYTES = randomBytes(1_000_000);
const BLOB: Descriptor = { mediaType: 'application/octet-stream', digest: sha256(BYTES), size: BYTES.length };

/** The digest of what a stream gives: Jest takes seconds to compare a megabyte. */
const collect = async (stream: Readable): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return sha256(Buffer.concat(chunks));
};

const rangeOf = ({ headers }: Recorded): { first: number; last: number } | undefined => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  return first === undefined ? undefined : { first: Number(first), last: Number(last) };
};

interface Behaviour {
  readonly bytes?: Buffer;
  /** Drops each connection after so many bytes. */
  readonly dropAfter?: number;
  readonly ranges?: boolean;
}

const serve =
  ({ bytes = BYTES, dropAfter = Infinity, ranges = true }: Behaviour = {}): Handler =>
  async (request, response, raw) => {
    const range = ranges ? rangeOf(request) : undefined;
    const part = range === undefined ? bytes : bytes.subarray(range.first, range.last + 1);
    const contentRange = `bytes ${String(range?.first)}-${String(range?.last)}/${String(bytes.length)}`;
    response.writeHead(range === undefined ? 200 : 206, {
      'content-length': String(part.length),
      ...(range === undefined ? {} : { 'content-range': contentRange }),
    });
    if (part.length <= dropAfter) response.end(part);
    else response.write(part.subarray(0, dropAfter), () => raw.socket.destroy());
    await setImmediate();
  };

const withRepository = async <T>(
  handler: Handler,
  use: (repository: Repository, requests: readonly Recorded[]) => Promise<T>,
  options: RegistryClientOptions = {},
): Promise<T> => {
  await using registry = await startServer(handler);
  await using client = openRegistryClient({ retry: QUICK, ...options });
  return await use(client.repository(`${registry.domain}/team/app`), registry.requests);
};

describe('blob', () => {
  test('is read whole, as often as one likes', async () => {
    await withRepository(serve(), async (repository, requests) => {
      const blob = repository.blob(BLOB);
      expect(requests).toEqual([]);
      await expect(collect(blob.open())).resolves.toBe(sha256(BYTES));
      await expect(collect(blob.open())).resolves.toBe(sha256(BYTES));
      expect(requests.map(({ path, headers }) => [path, headers.range])).toEqual([
        [`/v2/team/app/blobs/${BLOB.digest}`, undefined],
        [`/v2/team/app/blobs/${BLOB.digest}`, undefined],
      ]);
    });
  });

  test('goes on where each connection is dropped, without fetching anything twice', async () => {
    await withRepository(serve({ dropAfter: 90_000 }), async (repository, requests) => {
      await expect(collect(repository.blob(BLOB).open())).resolves.toBe(sha256(BYTES));
      const starts = requests.map((request) => rangeOf(request)?.first ?? 0);
      expect(starts).toEqual(Array.from({ length: 12 }, (_, i) => i * 90_000));
    });
  });

  test('goes on without ranges too, at the price of fetching again', async () => {
    let connections = 0;
    const handler: Handler = (request, response, raw) => {
      connections += 1;
      return serve({ ranges: false, dropAfter: connections < 3 ? 400_000 * connections : Infinity })(
        request,
        response,
        raw,
      );
    };
    await withRepository(handler, async (repository) => {
      await expect(collect(repository.blob(BLOB).open())).resolves.toBe(sha256(BYTES));
    });
    expect(connections).toBe(3);
  });

  test('gives up when dropped connections bring nothing any more', async () => {
    const handler: Handler = (request, response, raw) =>
      serve({ dropAfter: rangeOf(request) === undefined ? 1000 : 0 })(request, response, raw);
    await withRepository(handler, async (repository, requests) => {
      await expect(collect(repository.blob(BLOB).open())).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
        message: expect.stringContaining('connection dropped'),
      });
      expect(requests.length).toBeLessThan(8);
    });
  });

  const tampered = Buffer.from(BYTES);
  tampered[500_000] = (tampered[500_000] ?? 0) ^ 1;

  test.each<[string, Handler]>([
    ['other bytes', serve({ bytes: tampered })],
    ['fewer bytes', serve({ bytes: BYTES.subarray(0, -1) })],
    ['more bytes', serve({ bytes: Buffer.concat([BYTES, Buffer.alloc(1)]) })],
    [
      'more bytes that are not announced',
      (_, response) => {
        response.write(BYTES);
        response.end(Buffer.alloc(100_000));
      },
    ],
    [
      'endless bytes',
      (_, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(BYTES));
          response.once('drain', more);
        };
        more();
      },
    ],
  ])('%s are CONTENT_MISMATCH', async (_, handler) => {
    await withRepository(handler, async (repository) => {
      await expect(collect(repository.blob(BLOB).open())).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    });
  });

  test('bytes that are put together of honest and tampered ones are CONTENT_MISMATCH', async () => {
    const handler: Handler = (request, response, raw) =>
      serve(rangeOf(request) === undefined ? { dropAfter: 300_000 } : { bytes: tampered })(request, response, raw);
    await withRepository(handler, async (repository) => {
      await expect(collect(repository.blob(BLOB).open())).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    });
  });

  test('one that nobody reads on lets go of its connection', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<undefined>();
    const handler: Handler = (_, response) => {
      response.once('close', () => resolve(undefined));
      response.writeHead(200, { 'content-length': String(BYTES.length) });
      response.write(BYTES.subarray(0, 1000));
    };
    await withRepository(handler, async (repository) => {
      const stream = repository.blob(BLOB).open();
      const chunks = stream[Symbol.asyncIterator]();
      await chunks.next();
      const pending = chunks.next().catch(() => undefined);
      stream.destroy();
      await closed;
      await pending;
    });
  });

  test('an abort ends the stream with its reason', async () => {
    const handler: Handler = (_, response) => {
      response.writeHead(200, { 'content-length': String(BYTES.length) });
      response.write(BYTES.subarray(0, 1000));
    };
    await withRepository(handler, async (repository) => {
      const controller = new AbortController();
      const reading = collect(repository.blob(BLOB).open({ signal: controller.signal }));
      setTimeout(() => controller.abort(new Error('enough')), 50);
      await expect(reading).rejects.toThrow('enough');
      const late = collect(repository.blob(BLOB).open({ signal: controller.signal }));
      await expect(late).rejects.toThrow('enough');
    });
  });

  test('an empty one is asked of nobody', async () => {
    await withRepository(serve(), async (repository, requests) => {
      const empty = { ...BLOB, digest: sha256(''), size: 0 };
      await expect(collect(repository.blob(empty).open())).resolves.toBe(sha256(''));
      await expect(collect(repository.blob({ ...BLOB, size: 0 }).open())).rejects.toMatchObject({
        code: 'CONTENT_MISMATCH',
      });
      expect(requests).toEqual([]);
    });
  });

  test('a digest that is none never reaches a URL', async () => {
    await withRepository(serve(), async (repository, requests) => {
      const bad = { ...BLOB, digest: 'sha256:../../secret' as Descriptor['digest'] };
      await expect(repository.openBlob(bad)).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
      await expect(repository.hasBlob(bad.digest)).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
      expect(requests).toEqual([]);
    });
  });
});

describe('openBlob', () => {
  test('gives parts, with ranges or without', async () => {
    for (const ranges of [true, false]) {
      await withRepository(serve({ ranges }), async (repository) => {
        const part = async (offset: number, length?: number): Promise<string> =>
          collect(await repository.openBlob(BLOB, { offset, length }));
        await expect(part(0)).resolves.toBe(sha256(BYTES));
        await expect(part(300_000, 100_000)).resolves.toBe(sha256(BYTES.subarray(300_000, 400_000)));
        await expect(part(999_999)).resolves.toBe(sha256(BYTES.subarray(999_999)));
        await expect(part(0, 1)).resolves.toBe(sha256(BYTES.subarray(0, 1)));
        await expect(part(1_000_000)).resolves.toBe(sha256(''));
        await expect(part(1_000_001)).rejects.toThrow(RangeError);
        await expect(part(-1, 1)).rejects.toThrow(RangeError);
      });
    }
  });

  const answer =
    (status: number, headers: Record<string, string>, body: Buffer): Handler =>
    (_, response: ServerResponse) => {
      response.writeHead(status, headers);
      response.end(body);
    };

  test.each<[string, Handler, string]>([
    ['another range', answer(206, { 'content-range': 'bytes 0-9/1000000' }, BYTES.subarray(0, 10)), 'REGISTRY_FAILED'],
    ['no range', answer(206, {}, BYTES.subarray(10, 20)), 'REGISTRY_FAILED'],
    ['another size', answer(206, { 'content-range': 'bytes 10-19/77' }, BYTES.subarray(10, 20)), 'CONTENT_MISMATCH'],
    ['too much', answer(206, { 'content-range': 'bytes 10-19/*' }, BYTES.subarray(10, 21)), 'CONTENT_MISMATCH'],
    ['too little', answer(206, { 'content-range': 'bytes 10-19/*' }, BYTES.subarray(10, 19)), 'REGISTRY_UNREACHABLE'],
    ['a refusal', answer(416, {}, Buffer.alloc(0)), 'REGISTRY_REFUSED'],
    ['nothing', answer(404, {}, Buffer.alloc(0)), 'REGISTRY_NOT_FOUND'],
  ])('%s for a range is refused', async (_, handler, code) => {
    await withRepository(handler, async (repository) => {
      const reading = repository.openBlob(BLOB, { offset: 10, length: 10 }).then(collect);
      await expect(reading).rejects.toMatchObject({ code });
    });
  });
});

describe('layers of other hosts', () => {
  using dir = scratch();
  const authority = makeAuthority(dir.dir);
  const tls = makeCertificate(dir.dir, authority);
  const missing: Handler = (_, response) => sendError(response, 404, 'BLOB_UNKNOWN');
  const ALICE = { credentialFor: () => Promise.resolve({ username: 'alice', password: 'correct horse' }) };

  test('are fetched only when that is wanted, over https, without credentials, verified', async () => {
    await using evil = await startServer(serve());
    await using store = await startServer(
      (request, response, raw) => {
        if (request.path === '/layer' && request.headers.authorization === undefined)
          return serve()(request, response, raw);
        response.writeHead(401, { 'www-authenticate': 'Basic realm=x' }).end();
        return undefined;
      },
      { tls },
    );
    const foreign = { ...BLOB, urls: [`${evil.url}/layer`, `${store.url}/asks`, `${store.url}/layer`] };
    const registries = { hosts: { [store.domain]: { ca: authority.cert } } };
    await withRepository(
      missing,
      async (repository) => {
        await expect(collect(repository.blob(foreign).open())).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
      },
      { registries, credentials: ALICE },
    );
    expect(store.requests).toEqual([]);
    await withRepository(
      missing,
      async (repository) => {
        await expect(collect(repository.blob(foreign).open())).resolves.toBe(sha256(BYTES));
        const other = { ...foreign, digest: sha256('other') };
        await expect(collect(repository.blob(other).open())).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
        await expect(repository.openBlob(foreign)).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
      },
      { registries, credentials: ALICE, foreignLayers: true },
    );
    expect(evil.requests).toEqual([]);
    expect(store.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  });
});
