import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { beforeAll, expect, test } from '@jest/globals';
import { composeArtifact, openRegistryClient } from '@tsc/image';
import type { Artifact } from '@tsc/image';

import { describeRoot } from '../../../test/root.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import { artifactOf, push, sha256, startCache, startPlain, until, watchUpstream } from './upstream-servers.ts';
import type { CacheServer, WatchedUpstream } from './upstream-servers.ts';

const run = promisify(execFile);

const asks = ({ requests }: WatchedUpstream): readonly string[] =>
  requests.splice(0).filter((line) => !line.endsWith(' /v2/'));

async function get(server: CacheServer, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${server.url}/v2/${path}`, { headers });
}

async function bytesOf(response: Response): Promise<Buffer> {
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describeRoot('a cache of other registries', () => {
  // The threads that send files are started with the first one, and stay.
  beforeAll(async () => {
    await using plain = await startPlain();
    const bytes = randomBytes(1_000_000);
    await push(`${plain.domain}/app:1`, artifactOf(bytes));
    await (await fetch(`${plain.url}/v2/app/blobs/${sha256(bytes)}`)).arrayBuffer();
  });

  test("fetches from Debian's registry once, and serves it while that is away", async () => {
    await using origin = await startDockerRegistry();
    await using upstream = await watchUpstream(origin.url);
    const layer = randomBytes(1_000_000);
    const image = artifactOf(layer);
    await push(`${origin.domain}/team/app:1`, image);
    await using server = await startCache([
      { prefix: 'hub', registry: upstream.domain, tagTtlMs: 0, awayMs: 0, answerTimeoutMs: 3000 },
    ]);

    await using client = openRegistryClient();
    const repository = client.repository(`${server.domain}/hub/team/app`);
    const pulled = await repository.artifact('1');
    expect(pulled.bytes).toEqual(image.bytes);
    expect((await bytesOf(await get(server, `hub/team/app/blobs/${sha256(layer)}`))).equals(layer)).toBe(true);
    expect(asks(upstream)).toEqual(['GET /v2/team/app/manifests/1', `GET /v2/team/app/blobs/${sha256(layer)}`]);

    // Asked again it is HEAD, which is no pull; and the same pull goes on without an upstream.
    expect((await get(server, 'hub/team/app/manifests/1')).headers.get('warning')).toBeNull();
    expect(asks(upstream)).toEqual(['HEAD /v2/team/app/manifests/1']);
    await origin.stop();
    const stale = await get(server, 'hub/team/app/manifests/1');
    expect(stale.headers.get('warning')).toMatch(/^299 - "the upstream of hub did not answer/);
    expect(await bytesOf(stale)).toEqual(image.bytes);
    await until(async () => (await server.storage.statBlob('hub/team/app', sha256(layer))).sizeBytes === layer.length);
    expect((await bytesOf(await get(server, `hub/team/app/blobs/${sha256(layer)}`))).equals(layer)).toBe(true);
    expect((await get(server, 'hub/team/app/manifests/2')).status).toBe(502);
    expect(await (await get(server, 'hub/team/app/tags/list')).json()).toEqual({ name: 'hub/team/app', tags: ['1'] });
    expect(server.failures).toEqual([]);
    expect(await readdir(server.spoolDir)).toEqual([]);
  });

  test('asks about a tag again when its time is over, and takes what it means now', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const [first, second] = [artifactOf(randomBytes(10)), artifactOf(randomBytes(20))];
    await push(`${origin.domain}/app:1`, first);
    await using server = await startCache([{ prefix: 'hub', registry: upstream.domain, tagTtlMs: 3000 }]);
    expect(await bytesOf(await get(server, 'hub/app/manifests/1'))).toEqual(first.bytes);
    await push(`${origin.domain}/app:1`, second);
    asks(upstream);
    expect(await bytesOf(await get(server, 'hub/app/manifests/1'))).toEqual(first.bytes);
    expect(asks(upstream)).toEqual([]);
    await until(async () => (await bytesOf(await get(server, 'hub/app/manifests/1'))).equals(second.bytes));
    expect(asks(upstream)).toEqual(['HEAD /v2/app/manifests/1', `GET /v2/app/manifests/${second.descriptor.digest}`]);
    // What the tag meant before is still found by its digest; a tag that upstream hasn't got any more isn't.
    expect(await bytesOf(await get(server, `hub/app/manifests/${first.descriptor.digest}`))).toEqual(first.bytes);
    await origin.storage.deleteTag('app', '1');
    await until(async () => (await get(server, 'hub/app/manifests/1')).status === 404);
    await expect(server.storage.resolveTag('hub/app', '1')).rejects.toThrow('manifest unknown');
  });

  test('twenty clients who want the same at once cause one download', async () => {
    await using origin = await startDockerRegistry();
    await using upstream = await watchUpstream(origin.url);
    const layers = [randomBytes(3_000_000), randomBytes(5)];
    const image = artifactOf(...layers);
    await push(`${origin.domain}/app:1`, image);
    await using server = await startCache([{ prefix: 'hub', registry: upstream.domain }]);
    const pull = async (): Promise<void> => {
      expect(await bytesOf(await get(server, 'hub/app/manifests/1'))).toEqual(image.bytes);
      for (const layer of layers)
        expect((await bytesOf(await get(server, `hub/app/blobs/${sha256(layer)}`))).equals(layer)).toBe(true);
    };
    await Promise.all(Array.from({ length: 20 }, pull));
    expect([...asks(upstream)].sort()).toEqual(
      ['GET /v2/app/manifests/1', ...layers.map((layer) => `GET /v2/app/blobs/${sha256(layer)}`)].sort(),
    );
  });

  test('has several upstreams in one process, by prefix and by ns, with their own credentials and names', async () => {
    await using secret = await startDockerRegistry({ htpasswd: { alice: 'wonderland' } });
    await using open = await startPlain();
    const [one, other] = [artifactOf(randomBytes(10)), artifactOf(randomBytes(10))];
    await using client = openRegistryClient({
      credentials: { credentialFor: () => Promise.resolve({ username: 'alice', password: 'wonderland' }) },
    });
    const place = client.repository(`${secret.domain}/mirrors/library/app`);
    for (const blob of one.blobs) await place.uploadBlob(blob);
    await place.putManifest(one.bytes, { mediaType: one.descriptor.mediaType, tag: '1' });
    await push(`${open.domain}/library/app:1`, other);
    await using watched = await watchUpstream(open.url);
    await using server = await startCache([
      {
        prefix: 'docker.io',
        registry: secret.domain,
        remotePrefix: 'mirrors',
        namespace: 'docker.io',
        credential: { username: 'alice', password: 'wonderland' },
        deny: ['mirrors/private/**'],
      },
      { prefix: 'other', registry: watched.domain, allow: ['library/*'] },
    ]);
    const authorization = 'Basic Ym9iOnNlY3JldA==';
    expect(await bytesOf(await get(server, 'docker.io/library/app/manifests/1'))).toEqual(one.bytes);
    expect(await bytesOf(await get(server, 'library/app/manifests/1?ns=docker.io'))).toEqual(one.bytes);
    expect(await bytesOf(await get(server, 'other/library/app/manifests/1', { authorization }))).toEqual(other.bytes);
    expect(
      await bytesOf(await get(server, `library/app/manifests/1?ns=${encodeURIComponent(watched.domain)}`)),
    ).toEqual(other.bytes);
    expect(watched.headers.filter((headers) => headers.authorization !== undefined)).toEqual([]);
    expect((await get(server, 'docker.io/private/app/manifests/1')).status).toBe(403);
    expect((await get(server, 'other/team/app/manifests/1')).status).toBe(403);
    expect((await get(server, 'library/app/manifests/1')).status).toBe(404);
  });

  test('takes pushes to its own names, and refuses them for those of an upstream', async () => {
    await using origin = await startPlain();
    await using server = await startCache([{ prefix: 'hub', registry: origin.domain, absentTtlMs: 0 }]);
    const image = artifactOf(randomBytes(10));
    await push(`${server.domain}/own/app:1`, image);
    expect(await bytesOf(await get(server, 'own/app/manifests/1'))).toEqual(image.bytes);
    await expect(push(`${server.domain}/hub/app:1`, image)).rejects.toThrow('hub is a cache of');
    await push(`${origin.domain}/app:1`, image);
    const url = `${server.url}/v2/hub/app/manifests/2`;
    const headers = { 'content-type': image.descriptor.mediaType };
    const refused = await fetch(url, { method: 'PUT', body: new Uint8Array(image.bytes), headers });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('gives ranges and sizes of what it has not yet, and lists as upstream does', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const layer = randomBytes(500_000);
    const image = artifactOf(layer);
    await push(`${origin.domain}/app:1`, image);
    await push(`${origin.domain}/app:2`, image);
    await using server = await startCache([{ prefix: 'hub', registry: upstream.domain }]);
    const blob = `hub/app/blobs/${sha256(layer)}`;
    // Without a manifest that says it, upstream is asked for the size.
    const unseen = await fetch(`${server.url}/v2/${blob}`, { method: 'HEAD' });
    expect(unseen.headers.get('content-length')).toBe('500000');
    await bytesOf(await get(server, 'hub/app/manifests/1'));
    asks(upstream);
    const seen = await fetch(`${server.url}/v2/${blob}`, { method: 'HEAD' });
    expect(seen.headers.get('content-length')).toBe('500000');
    expect(asks(upstream)).toEqual([`HEAD /v2/app/blobs/${sha256(layer)}`]);
    await expect(server.storage.statBlob('hub/app', sha256(layer))).rejects.toThrow('blob unknown');

    const range = await get(server, blob, { range: 'bytes=100000-100009' });
    expect([range.status, range.headers.get('content-range')]).toEqual([206, 'bytes 100000-100009/500000']);
    expect(Buffer.from(await range.arrayBuffer())).toEqual(layer.subarray(100_000, 100_010));
    const end = await get(server, blob, { range: 'bytes=-10' });
    expect(Buffer.from(await end.arrayBuffer())).toEqual(layer.subarray(-10));
    expect((await get(server, `hub/app/blobs/${sha256('nothing')}`)).status).toBe(404);

    const page = await get(server, 'hub/app/tags/list?n=1');
    expect([await page.json(), page.headers.get('link')]).toEqual([
      { name: 'hub/app', tags: ['1'] },
      '</v2/hub/app/tags/list?n=1&last=1>; rel="next"',
    ]);
    expect((await get(server, 'hub/nothing/tags/list')).status).toBe(404);
  });

  test('lists what refers to a manifest as upstream does, and as it knows it while that is away', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const image = artifactOf(randomBytes(10));
    const [signature, sbom] = ['text/signature', 'text/sbom'].map((artifactType) =>
      composeArtifact({ artifactType, blobs: [], subject: image.descriptor }),
    ) as [Artifact, Artifact];
    await push(`${origin.domain}/app:1`, image);
    for (const each of [signature, sbom]) await push(`${origin.domain}/app@${each.descriptor.digest}`, each);
    await using server = await startCache([{ prefix: 'hub', registry: upstream.domain, tagTtlMs: 0, awayMs: 0 }]);
    const list = async (): Promise<readonly string[]> => {
      const answer = await get(server, `hub/app/referrers/${image.descriptor.digest}`);
      const { manifests } = (await answer.json()) as { readonly manifests: readonly { readonly digest: string }[] };
      return manifests.map(({ digest }) => digest);
    };
    expect(await list()).toEqual([signature.descriptor.digest, sbom.descriptor.digest].sort());
    await bytesOf(await get(server, `hub/app/manifests/${sbom.descriptor.digest}`));
    upstream.intercept = (_request, response) => {
      response.destroy();
      return true;
    };
    expect(await list()).toEqual([sbom.descriptor.digest]);
    expect(server.told().at(-1)).toBe('stale list');
  });

  test('a registry that is its own upstream says so at once', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    await using server = await startCache([{ prefix: 'loop', registry: upstream.domain, remotePrefix: 'loop' }]);
    upstream.intercept = (request, response) => {
      response.writeHead(307, { location: `${server.url}${request.url ?? ''}` }).end();
      return true;
    };
    const startMs = performance.now();
    const answer = await get(server, 'loop/app/manifests/1');
    expect(answer.status).toBe(502);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  test('stands before all names of a registry, for a client that is not ours', async () => {
    await using origin = await startDockerRegistry();
    await using upstream = await watchUpstream(origin.url);
    const image = artifactOf(randomBytes(100_000), randomBytes(100));
    await push(`${origin.domain}/team/app:1`, image);
    await using server = await startCache([
      { prefix: '', registry: upstream.domain, tagTtlMs: 0 },
      { prefix: 'other', registry: '127.0.0.1:9' },
    ]);
    const dir = await mkdtemp(join(tmpdir(), 'tsc-registry-pulled-'));
    const copy = (): Promise<unknown> =>
      run('skopeo', ['copy', '--src-tls-verify=false', `docker://${server.domain}/team/app:1`, `dir:${dir}`]);
    try {
      await copy();
      expect(await readFile(join(dir, 'manifest.json'))).toEqual(image.bytes);
      await origin.stop();
      await copy();
      expect(server.told()).toContain('stale tag');
    } finally {
      await rm(dir, { recursive: true });
    }
    const { headers } = await fetch(`${server.url}/v2/team/app/manifests/1`, { method: 'HEAD' });
    expect([headers.get('docker-content-digest'), headers.get('warning')]).toEqual([
      image.descriptor.digest,
      expect.stringContaining('the upstream registry did not answer'),
    ]);
    expect((await get(server, 'other/app/manifests/1')).status).toBe(502);
  });

  test('what nobody pulled for long is evicted, and garbage collection leaves what is needed', async () => {
    await using origin = await startPlain();
    const layer = randomBytes(100_000);
    const image = artifactOf(layer);
    await push(`${origin.domain}/app:1`, image);
    await using server = await startCache([{ prefix: 'hub', registry: origin.domain }]);
    // Garbage is collected between the manifest and its blob, then after it.
    await bytesOf(await get(server, 'hub/app/manifests/1'));
    await server.cache.collectGarbage(0);
    await bytesOf(await get(server, `hub/app/blobs/${sha256(layer)}`));
    const isStored = (): Promise<boolean> =>
      server.storage.statBlob('hub/app', sha256(layer)).then(
        () => true,
        () => false,
      );
    await until(isStored);
    await server.cache.collectGarbage(0);
    expect(await isStored()).toBe(true);
    expect(await server.cache.evictIdle({ maxIdleMs: 60_000 })).toEqual({ evictedManifests: 0 });
    await push(`${server.domain}/own:1`, artifactOf(randomBytes(3)));
    expect(await server.cache.evictIdle({ maxIdleMs: -60_000 })).toEqual({ evictedManifests: 1 });
    expect((await server.cache.collectGarbage(0)).unlinkedBlobs).toBe(1);
    expect(await isStored()).toBe(false);
    expect(await bytesOf(await get(server, 'hub/app/manifests/1'))).toEqual(image.bytes);
    expect((await get(server, 'own/manifests/1')).status).toBe(200);
  });
});
