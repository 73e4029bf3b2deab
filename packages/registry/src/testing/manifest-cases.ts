import { deepEqual, equal, match } from 'node:assert/strict';

import type { ConformanceCase } from './case.ts';
import { INDEX, MANIFEST, wantError, wantStatus } from './case.ts';
import { bytesOf, missing } from './manifest-steps.ts';

const PULL = 'Pulling manifests';
const EXISTS = 'Checking if content exists in the registry';

const reads: readonly ConformanceCase[] = [
  ...(['tag', 'digest'] as const).flatMap((by) =>
    (['GET', 'HEAD'] as const).map((method): ConformanceCase => ({
      id: `manifest-${method}-by-${by}`,
      section: method === 'GET' ? PULL : EXISTS,
      level: 'MUST',
      title: `${method} by ${by} is a 200 with type, length and digest of what was pushed`,
      run: async (target) => {
        const name = target.freshName();
        const image = await target.image(name);
        const { digest, size } = await target.pushManifest(name, 'v1', image);
        const path = `/v2/${name}/manifests/${by === 'tag' ? 'v1' : digest}`;
        const answer = await target.send(method, path, { headers: { Accept: MANIFEST } });
        wantStatus(answer, 200);
        equal(answer.headers['content-type'], MANIFEST);
        equal(answer.headers['docker-content-digest'], digest);
        equal(answer.headers['content-length'], String(size));
        deepEqual(answer.body, method === 'GET' ? bytesOf(image) : Buffer.alloc(0));
      },
    })),
  ),
  ...['v1', missing].flatMap((reference) =>
    (['GET', 'HEAD'] as const).map((method): ConformanceCase => ({
      id: `manifest-missing-${method}-${reference.slice(0, 6)}`,
      section: method === 'GET' ? PULL : EXISTS,
      level: 'MUST',
      title: `${method} of ${reference.slice(0, 6)} that isn't there is a 404`,
      run: async (target) => {
        const name = target.freshName();
        await target.pushManifest(name, 'other', await target.image(name));
        wantStatus(await target.send(method, `/v2/${name}/manifests/${reference}`), 404);
      },
    })),
  ),
  {
    id: 'manifest-missing-repository',
    section: 'Pushing Manifests',
    level: 'MUST',
    title: "pulling from a repository that isn't there is a 404",
    run: async (target) => wantStatus(await target.send('GET', `/v2/${target.freshName()}/manifests/v1`), 404),
  },
  {
    id: 'manifest-missing-code',
    section: 'Error Codes',
    level: 'MUST',
    title: 'the body of the 404 says MANIFEST_UNKNOWN',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      wantError(await target.send('GET', `/v2/${name}/manifests/v2`), 404, 'MANIFEST_UNKNOWN');
    },
  },
  {
    id: 'manifest-if-none-match',
    section: 'RFC 9110, 13',
    level: 'SHOULD',
    title: 'If-None-Match with the ETag is a 304',
    run: async (target) => {
      const name = target.freshName();
      const { digest } = await target.pushManifest(name, 'v1', await target.image(name));
      const headers = { Accept: MANIFEST, 'If-None-Match': `"${digest}"` };
      wantStatus(await target.send('GET', `/v2/${name}/manifests/v1`, { headers }), 304);
    },
  },
  ...[undefined, '*/*', `${INDEX}, ${MANIFEST};q=0.5`].map((accept): ConformanceCase => ({
    id: `manifest-accept-${accept ?? 'none'}`,
    section: PULL,
    level: 'SHOULD',
    title: `a manifest is given for Accept: ${accept ?? '(none)'}`,
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      const headers = accept === undefined ? {} : { Accept: accept };
      wantStatus(await target.send('GET', `/v2/${name}/manifests/v1`, { headers }), 200);
    },
  })),
  {
    id: 'manifest-accept-other',
    section: 'Content Negotiation',
    level: 'OURS',
    title: 'an index is not given to whom accepts only manifests',
    run: async (target) => {
      const name = target.freshName();
      const member = await target.pushManifest(name, 'm', await target.image(name));
      await target.pushManifest(name, 'i', { schemaVersion: 2, mediaType: INDEX, manifests: [member] });
      const answer = await target.send('GET', `/v2/${name}/manifests/i`, { headers: { Accept: MANIFEST } });
      wantError(answer, 404, 'MANIFEST_UNKNOWN');
    },
  },
];

const deletions: readonly ConformanceCase[] = [
  {
    id: 'tag-delete',
    section: 'Deleting tags',
    level: 'MUST',
    title: 'DELETE of a tag is a 202; the tag is gone, the manifest and its other tag are not',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const { digest } = await target.pushManifest(name, 'a', image);
      await target.pushManifest(name, 'b', image);
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/a`), 202);
      const statuses = await Promise.all(
        ['a', 'b', digest].map(
          async (reference) =>
            (await target.send('GET', `/v2/${name}/manifests/${reference}`, { headers: { Accept: MANIFEST } })).status,
        ),
      );
      deepEqual(statuses, [404, 200, 200]);
    },
  },
  {
    id: 'tag-delete-missing',
    section: 'Endpoints',
    level: 'MUST',
    title: "DELETE of a tag that isn't there is a 404",
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'a', await target.image(name));
      wantError(await target.send('DELETE', `/v2/${name}/manifests/b`), 404, 'MANIFEST_UNKNOWN');
    },
  },
  {
    id: 'manifest-delete',
    section: 'Deleting Manifests',
    level: 'MUST',
    title: 'DELETE of a manifest is a 202; it and its tags are gone',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const { digest } = await target.pushManifest(name, 'a', image);
      await target.pushManifest(name, 'b', image);
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${digest}`), 202);
      for (const reference of ['a', 'b', digest]) {
        wantStatus(await target.send('GET', `/v2/${name}/manifests/${reference}`), 404);
      }
      match((await target.send('GET', `/v2/${name}/tags/list`)).body.toString(), /"tags":(\[\]|null)/);
    },
  },
  {
    id: 'manifest-delete-missing',
    section: 'Endpoints',
    level: 'MUST',
    title: "DELETE of a manifest that isn't there is a 404",
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'a', await target.image(name));
      wantError(await target.send('DELETE', `/v2/${name}/manifests/${missing}`), 404, 'MANIFEST_UNKNOWN');
    },
  },
  {
    id: 'manifest-delete-missing-repository',
    section: 'Deleting Manifests',
    level: 'MUST',
    title: "DELETE in a repository that isn't there is a 404",
    run: async (target) =>
      wantStatus(await target.send('DELETE', `/v2/${target.freshName()}/manifests/${missing}`), 404),
  },
];

export const manifestCases: readonly ConformanceCase[] = [...reads, ...deletions];
