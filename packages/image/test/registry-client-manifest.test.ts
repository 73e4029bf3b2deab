import type { ServerResponse } from 'node:http';

import { describe, expect, test } from '@jest/globals';

import { openRegistryClient, type Digest, type Repository } from '../src/index.ts';
import {
  manifestBytes,
  OCI_INDEX_TYPE,
  OCI_MANIFEST_TYPE,
  QUICK,
  sendError,
  sendJson,
  sendManifest,
  sha256,
  startServer,
  type Handler,
  type Recorded,
} from './registry-server.ts';

const MANIFEST = manifestBytes('manifest');
const DIGEST = sha256(MANIFEST);
const DOCKER_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

const withRepository = async <T>(
  handler: Handler,
  use: (repository: Repository, requests: readonly Recorded[]) => Promise<T>,
): Promise<T> => {
  await using registry = await startServer(handler);
  await using client = openRegistryClient({ retry: QUICK });
  return await use(client.repository(`${registry.domain}/team/app`), registry.requests);
};

const serve =
  (bytes: Buffer, headers: Record<string, string> = {}): Handler =>
  (_, response) => {
    sendManifest(response, bytes, headers);
  };

const listOf = async (items: AsyncIterable<string>): Promise<readonly string[]> => {
  const list: string[] = [];
  for await (const item of items) list.push(item);
  return list;
};

describe('manifest', () => {
  test('is exact, and asked for with every type that we read', async () => {
    await withRepository(serve(MANIFEST), async (repository, requests) => {
      const descriptor = { mediaType: OCI_MANIFEST_TYPE, digest: DIGEST, size: MANIFEST.length };
      await expect(repository.manifest('v1')).resolves.toEqual({ descriptor, bytes: MANIFEST });
      await expect(repository.manifest(DIGEST)).resolves.toEqual({ descriptor, bytes: MANIFEST });
      expect(requests.map(({ path }) => path)).toEqual([
        '/v2/team/app/manifests/v1',
        `/v2/team/app/manifests/${DIGEST}`,
      ]);
      for (const type of [
        OCI_INDEX_TYPE,
        OCI_MANIFEST_TYPE,
        DOCKER_TYPE,
        'application/vnd.docker.distribution.manifest.list.v2+json',
      ])
        expect(requests[0]?.headers.accept).toContain(type);
    });
  });

  const without = (key: string): Buffer => {
    const { [key]: _, ...rest } = JSON.parse(MANIFEST.toString()) as Record<string, unknown>;
    return Buffer.from(JSON.stringify(rest));
  };

  test.each<[string, Buffer, Record<string, string>, string]>([
    ['the header', without('mediaType'), { 'content-type': `${DOCKER_TYPE}; charset=utf-8` }, DOCKER_TYPE],
    ['the document where the header says nothing', MANIFEST, { 'content-type': 'application/json' }, OCI_MANIFEST_TYPE],
    ['what is in it where neither does', without('mediaType'), { 'content-type': 'text/plain' }, OCI_MANIFEST_TYPE],
    ['what is in an index', Buffer.from('{"schemaVersion":2,"manifests":[]}'), { 'content-type': '' }, OCI_INDEX_TYPE],
  ])('has the type of %s', async (_, bytes, headers, mediaType) => {
    await withRepository(serve(bytes, headers), async (repository) => {
      await expect(repository.manifest('v1')).resolves.toMatchObject({ descriptor: { mediaType } });
    });
  });

  test.each<[string, Buffer, Record<string, string>, object]>([
    [
      'schema 1 by its type',
      MANIFEST,
      { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' },
      { code: 'DOCUMENT_INVALID', message: expect.stringContaining('schema 1') },
    ],
    [
      'schema 1 by its number',
      Buffer.from('{"schemaVersion":1,"fsLayers":[]}'),
      { 'content-type': 'application/json' },
      { code: 'DOCUMENT_INVALID', message: expect.stringContaining('push the image again') },
    ],
    ['another type than the document has', MANIFEST, { 'content-type': OCI_INDEX_TYPE }, { code: 'DOCUMENT_INVALID' }],
    [
      'manifest and index at once',
      manifestBytes('both', { manifests: [] }),
      {},
      { code: 'DOCUMENT_INVALID', message: expect.stringContaining('at once') },
    ],
    [
      'no manifest',
      Buffer.from('{"schemaVersion":2}'),
      { 'content-type': 'application/json' },
      { code: 'DOCUMENT_INVALID' },
    ],
    ['no JSON', Buffer.from('<html>'), { 'content-type': 'text/html' }, { code: 'DOCUMENT_INVALID' }],
    ['another digest by the header', MANIFEST, { 'docker-content-digest': sha256('x') }, { code: 'CONTENT_MISMATCH' }],
  ])('that is %s is refused', async (_, bytes, headers, error) => {
    await withRepository(serve(bytes, headers), async (repository) => {
      await expect(repository.manifest('v1')).rejects.toMatchObject(error);
    });
  });

  test('other bytes than the digest asked for names are CONTENT_MISMATCH', async () => {
    const other = manifestBytes('tampered');
    await withRepository(serve(other, { 'docker-content-digest': DIGEST }), async (repository) => {
      await expect(repository.manifest(DIGEST)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    });
    await withRepository(serve(other), async (repository) => {
      await expect(repository.manifest(DIGEST)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
      await expect(repository.resolve(DIGEST)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    });
  });

  test('more than 4 MiB is refused', async () => {
    await withRepository(serve(manifestBytes('x'.repeat(4 * 1024 ** 2))), async (repository) => {
      await expect(repository.manifest('v1')).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    });
  });

  test('a dropped connection is taken up again', async () => {
    let tries = 0;
    const handler: Handler = (_, response) => {
      tries += 1;
      if (tries === 3) {
        sendManifest(response, MANIFEST);
        return;
      }
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{', () => response.socket?.destroy());
    };
    await withRepository(handler, async (repository) => {
      await expect(repository.manifest('v1')).resolves.toMatchObject({ descriptor: { digest: DIGEST } });
    });
    expect(tries).toBe(3);
  });

  test.each([
    '',
    'a b',
    '../../x',
    'a/b',
    'a?b',
    'v1@sha256:1',
    `v1@${DIGEST}`,
    'sha256:abc',
    `sha512:${'a'.repeat(128)}`,
    '%2e%2e',
  ])('%j is no tag or digest, and never reaches a URL', async (bad) => {
    await withRepository(serve(MANIFEST), async (repository, requests) => {
      for (const call of [repository.manifest(bad), repository.resolve(bad), repository.deleteManifest(bad)])
        await expect(call).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
      await expect(repository.putManifest(MANIFEST, { mediaType: OCI_MANIFEST_TYPE, tag: bad })).rejects.toMatchObject({
        code: 'REFERENCE_INVALID',
      });
      expect(requests).toEqual([]);
    });
  });
});

describe('resolve', () => {
  test('asks with HEAD, and with GET where that does not say enough', async () => {
    await withRepository(serve(MANIFEST), async (repository, requests) => {
      await expect(repository.resolve('v1')).resolves.toEqual({
        mediaType: OCI_MANIFEST_TYPE,
        digest: DIGEST,
        size: MANIFEST.length,
      });
      expect(requests.map(({ method }) => method)).toEqual(['HEAD']);
    });
    for (const head of [
      (response: ServerResponse) => response.writeHead(405).end(),
      (response: ServerResponse) => response.writeHead(200, { 'content-type': OCI_MANIFEST_TYPE }).end(),
    ]) {
      const handler: Handler = ({ method }, response) => {
        if (method === 'HEAD') head(response);
        else sendManifest(response, MANIFEST);
      };
      await withRepository(handler, async (repository, requests) => {
        await expect(repository.resolve('v1')).resolves.toMatchObject({ digest: DIGEST });
        expect(requests.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
      });
    }
  });

  test('says what there is not', async () => {
    const handler: Handler = (_, response) => {
      response.writeHead(404).end();
    };
    await withRepository(handler, async (repository, requests) => {
      await expect(repository.resolve('v1')).rejects.toMatchObject({
        code: 'REGISTRY_NOT_FOUND',
        message: expect.stringMatching(/^cannot find manifest 127\.0\.0\.1:\d+\/team\/app:v1: .* answered 404$/),
      });
      expect(requests).toHaveLength(1);
    });
  });
});

describe('tags', () => {
  test('follow the pages', async () => {
    const handler: Handler = ({ query }, response) => {
      const last = query.get('last');
      if (last === null) response.setHeader('link', '</v2/team/app/tags/list?n=2&last=b>; rel="next"');
      if (last === 'b') response.setHeader('link', '<list?n=2&last=c>; foo=bar; rel=next');
      sendJson(response, 200, { name: 'team/app', tags: { null: ['a', 'b'], b: ['c'], c: null }[String(last)] });
    };
    await withRepository(handler, async (repository, requests) => {
      await expect(listOf(repository.tags({ pageSize: 2 }))).resolves.toEqual(['a', 'b', 'c']);
      expect(requests.map(({ query }) => query.toString())).toEqual(['n=2', 'n=2&last=b', 'n=2&last=c']);
      for await (const tag of repository.tags()) {
        expect(tag).toBe('a');
        break;
      }
      expect(requests).toHaveLength(4);
    });
  });

  test('do not follow to another origin, nor in circles', async () => {
    await using thief = await startServer((_, response) => sendJson(response, 200, { tags: ['stolen'] }));
    const leading =
      (link: string): Handler =>
      (_, response) => {
        response.setHeader('link', `<${link}>; rel="next"`);
        sendJson(response, 200, { tags: ['a'] });
      };
    await withRepository(leading(`${thief.url}/v2/team/app/tags/list`), async (repository) => {
      await expect(listOf(repository.tags())).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    });
    expect(thief.requests).toEqual([]);
    await withRepository(leading('?last=a'), async (repository) => {
      await expect(listOf(repository.tags())).rejects.toMatchObject({
        code: 'REGISTRY_FAILED',
        message: expect.stringContaining('circle'),
      });
    });
  });

  test.each([[['a', 7]], [['a\u001b[31m']], ['a'], [{ a: 1 }]])('%j are refused', async (tags) => {
    await withRepository(
      (_, response) => sendJson(response, 200, { tags }),
      async (repository) => {
        await expect(listOf(repository.tags())).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
      },
    );
  });

  test('of the whole registry are its repositories', async () => {
    await using registry = await startServer((_, response) => sendJson(response, 200, { repositories: ['a', 'b/c'] }));
    await using client = openRegistryClient({ retry: QUICK });
    await expect(listOf(client.repositories(registry.domain, { pageSize: 5 }))).resolves.toEqual(['a', 'b/c']);
    expect(registry.requests.map(({ path, query }) => `${path}?${query.toString()}`)).toEqual(['/v2/_catalog?n=5']);
  });
});

describe('search', () => {
  test('asks a registry of its own for names and descriptions', async () => {
    const results = [
      { name: 'team/app', description: 'an app', star_count: 7, is_official: true, is_automated: false },
      { name: 'team/bare' },
      { name: 'more' },
    ];
    await using registry = await startServer((_, response) => sendJson(response, 200, { num_results: 3, results }));
    await using client = openRegistryClient({ retry: QUICK });
    await expect(client.search(`${registry.domain}/team app`, { limit: 2 })).resolves.toEqual([
      { name: 'team/app', description: 'an app', stars: 7, official: true },
      { name: 'team/bare', description: '', stars: 0, official: false },
    ]);
    expect(registry.requests.map(({ path, query }) => [path, query.get('q'), query.get('n')])).toEqual([
      ['/v1/search', 'team app', '2'],
    ]);
  });
});

describe('artifact', () => {
  const line = (bytes: Buffer, architecture: string): object => ({
    mediaType: OCI_MANIFEST_TYPE,
    digest: sha256(bytes),
    size: bytes.length,
    platform: { os: 'linux', architecture },
  });
  const [AMD64, ARM64] = [manifestBytes('amd64'), manifestBytes('arm64')];
  const INDEX = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX_TYPE,
      manifests: [line(AMD64, 'amd64'), line(ARM64, 'arm64')],
    }),
  );
  const world = (missing?: Digest): Handler => {
    const all = new Map([['v1', INDEX], ...[INDEX, AMD64, ARM64].map((bytes) => [sha256(bytes), bytes] as const)]);
    return ({ path }, response) => {
      const name = path.split('/').at(-1) ?? '';
      const bytes = name === missing ? undefined : all.get(name);
      if (bytes === undefined) sendError(response, 404, 'MANIFEST_UNKNOWN');
      else sendManifest(response, bytes, { 'content-type': bytes === INDEX ? OCI_INDEX_TYPE : OCI_MANIFEST_TYPE });
    };
  };

  test('is an index with its members, or the member for a platform', async () => {
    await withRepository(world(), async (repository, requests) => {
      const all = await repository.artifact('v1');
      expect(all.bytes).toEqual(INDEX);
      expect(all.manifests.map(({ bytes }) => bytes)).toEqual([AMD64, ARM64]);
      expect(all.manifests[1]?.blobs.map(({ descriptor }) => descriptor.size)).toEqual([2]);
      expect(requests).toHaveLength(3);
      const one = await repository.artifact('v1', { platform: { os: 'linux', architecture: 'arm64' } });
      expect(one.bytes).toEqual(ARM64);
      await expect(
        repository.artifact('v1', { platform: { os: 'plan9', architecture: 'mips' } }),
      ).rejects.toMatchObject({ code: 'PLATFORM_NOT_FOUND' });
    });
  });

  test('goes without members that the registry has not got', async () => {
    await withRepository(world(sha256(AMD64)), async (repository) => {
      const { manifests } = await repository.artifact('v1');
      expect(manifests.map(({ bytes }) => bytes)).toEqual([ARM64]);
    });
  });
});
