import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { MANIFEST, digestOf, withQuery } from '../testing/case.ts';
import type { ConformanceTarget } from '../testing/case.ts';
import { openConformanceTarget } from '../testing/conformance.ts';
import { bytesOf, missing, put } from '../testing/manifest-steps.ts';
import type { RegistryOptions } from './registry.ts';
import { serveRegistry } from './serve.ts';

let rootDir: string;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
});
afterEach(async () => {
  await rm(rootDir, { recursive: true });
});

async function withRegistry(
  options: Partial<RegistryOptions>,
  act: (target: ConformanceTarget) => Promise<void>,
): Promise<void> {
  await using server = await serveRegistry({ ...options, listen: '127.0.0.1:0', rootDir });
  using target = openConformanceTarget(server.url);
  await act(target);
}

const layers = [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: missing, size: 4 }];

describe('what the specification leaves to a registry', () => {
  test('a sparse one takes a manifest without its layers, keeps it through a collection, and lists it', async () => {
    await using server = await serveRegistry({ listen: '127.0.0.1:0', rootDir, sparse: true });
    using target = openConformanceTarget(server.url);
    const name = target.freshName();
    const { digest } = await target.pushManifest(name, 'v1', await target.image(name, { layers }));
    await server.collectGarbage({ graceMs: 0 });
    const answer = await target.send('GET', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
    expect(answer.status).toBe(200);
    expect(digestOf(answer.body)).toBe(digest);
    expect((await target.send('GET', `/v2/${name}/blobs/${missing}`)).status).toBe(404);
  });

  test('one that is not refuses it', async () => {
    await withRegistry({}, async (target) => {
      const name = target.freshName();
      const answer = await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name, { layers }) });
      expect(answer.body.toString()).toContain('MANIFEST_BLOB_UNKNOWN');
    });
  });

  test('a namespace stands before the name, and is said in OCI-Namespace; one that is unknown is ignored', async () => {
    const namespaces = new Map([['registry.example', 'mirrors/example']]);
    await withRegistry({ namespaces }, async (target) => {
      const image = await target.image('mirrors/example/app');
      await target.pushManifest('mirrors/example/app', 'v1', image);
      const headers = { Accept: MANIFEST };
      const path = '/v2/app/manifests/v1';
      const known = await target.send('GET', withQuery(path, 'ns=registry.example'), { headers });
      expect([known.status, known.headers['oci-namespace']]).toEqual([200, 'registry.example']);
      const unknown = await target.send('GET', withQuery(path, 'ns=other.example'), { headers });
      expect([unknown.status, unknown.headers['oci-namespace']]).toEqual([404, undefined]);
    });
  });

  test('where nothing may be deleted, tags, manifests and blobs are a 405, whether they are there or not', async () => {
    await withRegistry({ deletable: false }, async (target) => {
      const name = target.freshName();
      const { digest } = await target.pushManifest(name, 'v1', await target.image(name));
      const paths = ['manifests/v1', 'manifests/v2', `manifests/${digest}`, `manifests/${missing}`, `blobs/${missing}`];
      for (const path of paths) {
        expect((await target.send('DELETE', `/v2/${name}/${path}`)).status).toBe(405);
      }
      expect((await target.send('HEAD', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } })).status).toBe(
        200,
      );
    });
  });

  test('a blob of a repository that a client may not read is no mount for it, but an upload', async () => {
    const hidden = 'hidden';
    const identity = { account: 'alice', mayPull: (name: string): boolean => name !== hidden, mayPullAll: false };
    await withRegistry({ access: { authorize: () => Promise.resolve(identity) } }, async (target) => {
      const digest = await target.pushBlob(hidden, Buffer.from('secret'));
      await target.pushBlob('shown', Buffer.from('public'));
      const mount = async (query: string): Promise<number> =>
        (await target.send('POST', `/v2/mine/blobs/uploads/?mount=${query}`)).status;
      expect(await mount(`${digest}&from=${hidden}`)).toBe(202);
      expect(await mount(digest)).toBe(202);
      expect(await mount(`${digestOf('public')}&from=shown`)).toBe(201);
    });
  });

  test('of several who move a tag at once with If-Match, one moves it', async () => {
    await withRegistry({}, async (target) => {
      const name = target.freshName();
      const { digest } = await target.pushManifest(name, 'v1', await target.image(name));
      const headers = { 'Content-Type': MANIFEST, 'If-Match': `"${digest}"` };
      const bodies = await Promise.all(Array.from({ length: 6 }, async () => bytesOf(await target.image(name))));
      const answers = await Promise.all(bodies.map((body) => target.putManifest(name, 'v1', { body, headers })));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 412, 412, 412, 412, 412]);
      const moved = bodies[answers.findIndex(({ status }) => status === 201)] ?? '';
      const { body } = await target.send('GET', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
      expect(digestOf(body)).toBe(digestOf(moved));
    });
  });
});
