import { deepEqual, equal } from 'node:assert/strict';

import type { ConformanceCase } from './case.ts';
import { digestOf, INDEX, locationOf, MANIFEST, wantError, wantStatus } from './case.ts';
import { bytesOf, missing, put } from './manifest-steps.ts';

const PUSH = 'Pushing Manifests';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';

export const manifestPushCases: readonly ConformanceCase[] = [
  {
    id: 'manifest-put',
    section: PUSH,
    level: 'MUST',
    title: 'PUT is a 201 with a Location that can be pulled, and the digest',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const answer = await put(target, `/v2/${name}/manifests/v1`, { document: image });
      wantStatus(answer, 201);
      equal(answer.headers['docker-content-digest'], digestOf(bytesOf(image)));
      const pulled = await target.send('GET', locationOf(answer), { headers: { Accept: MANIFEST } });
      deepEqual(pulled.body, bytesOf(image));
    },
  },
  {
    id: 'manifest-put-exact',
    section: PUSH,
    level: 'MUST',
    title: 'the bytes are kept exactly, with spaces and fields that nobody knows',
    run: async (target) => {
      const name = target.freshName();
      const bytes = Buffer.from(
        `${JSON.stringify(await target.image(name, { 'org.example': [1, null] }), null, 7)}\n \n`,
      );
      wantStatus(await put(target, `/v2/${name}/manifests/v1`, { document: bytes }), 201);
      const headers = { Accept: MANIFEST };
      deepEqual((await target.send('GET', `/v2/${name}/manifests/v1`, { headers })).body, bytes);
    },
  },
  {
    id: 'manifest-put-type-parameters',
    section: PUSH,
    level: 'SHOULD',
    title: 'parameters of the Content-Type are ignored',
    run: async (target) => {
      const name = target.freshName();
      const answer = await put(target, `/v2/${name}/manifests/v1`, {
        document: await target.image(name),
        type: `${MANIFEST}; charset=utf-8`,
      });
      wantStatus(answer, 201);
      const { headers } = await target.send('GET', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
      equal(headers['content-type'], MANIFEST);
    },
  },
  {
    id: 'manifest-put-wrong-digest',
    section: PUSH,
    level: 'SHOULD',
    title: 'PUT by another digest is a 400 with DIGEST_INVALID',
    run: async (target) => {
      const name = target.freshName();
      wantError(
        await put(target, `/v2/${name}/manifests/${missing}`, { document: await target.image(name) }),
        400,
        'DIGEST_INVALID',
      );
    },
  },
  {
    id: 'manifest-put-blob-missing',
    section: 'Push',
    level: 'MUST',
    title: 'a manifest that is refused for a missing blob is refused with MANIFEST_BLOB_UNKNOWN',
    run: async (target) => {
      const name = target.freshName();
      const layers = [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: missing, size: 4 }];
      const answer = await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name, { layers }) });
      wantStatus(answer, 201, 400, 404);
      if (answer.status !== 201) wantError(answer, answer.status, 'MANIFEST_BLOB_UNKNOWN');
    },
  },
  {
    id: 'manifest-put-member-missing',
    section: 'Push',
    level: 'MUST',
    title: 'an index that is refused for a missing member is refused with MANIFEST_BLOB_UNKNOWN',
    run: async (target) => {
      const manifests = [{ mediaType: MANIFEST, digest: missing, size: 4 }];
      const path = `/v2/${target.freshName()}/manifests/v1`;
      const answer = await put(target, path, {
        document: { schemaVersion: 2, mediaType: INDEX, manifests },
        type: INDEX,
      });
      wantStatus(answer, 201, 400, 404);
      if (answer.status !== 201) wantError(answer, answer.status, 'MANIFEST_BLOB_UNKNOWN');
    },
  },
  ...[
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ].map((mediaType): ConformanceCase => ({
    id: `manifest-put-foreign-${mediaType.includes('oci') ? 'oci' : 'docker'}`,
    section: 'OCI image specification, non-distributable layers',
    level: 'SHOULD',
    title: `a layer of ${mediaType} needn't be there`,
    run: async (target) => {
      const name = target.freshName();
      const layers = [{ mediaType, digest: missing, size: 4, urls: ['https://example.com/layer'] }];
      wantStatus(
        await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name, { layers }) }),
        201,
      );
    },
  })),
  {
    id: 'manifest-put-no-layers',
    section: PUSH,
    level: 'MAY',
    title: 'the list of layers may be empty',
    run: async (target) => {
      const name = target.freshName();
      wantStatus(
        await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name, { layers: [] }) }),
        201,
      );
    },
  },
  {
    id: 'manifest-put-index',
    section: PUSH,
    level: 'MUST',
    title: 'an index, and one in another one',
    run: async (target) => {
      const name = target.freshName();
      const member = await target.pushManifest(name, 'm', await target.image(name));
      const inner = await target.pushManifest(name, 'i', { schemaVersion: 2, mediaType: INDEX, manifests: [member] });
      await target.pushManifest(name, 'o', { schemaVersion: 2, mediaType: INDEX, manifests: [inner] });
    },
  },
  {
    id: 'manifest-put-empty-index',
    section: PUSH,
    level: 'MAY',
    title: 'an index without members',
    run: async (target) => {
      await target.pushManifest(target.freshName(), 'i', { schemaVersion: 2, mediaType: INDEX, manifests: [] });
    },
  },
  {
    id: 'manifest-put-docker',
    section: PUSH,
    level: 'MUST',
    title: "Docker's manifest and list",
    run: async (target) => {
      const name = target.freshName();
      const member = await target.pushManifest(name, 'm', await target.image(name, { mediaType: DOCKER }));
      await target.pushManifest(name, 'l', {
        schemaVersion: 2,
        mediaType: DOCKER_LIST,
        manifests: [{ ...member, platform: { os: 'linux', architecture: 'amd64' } }],
      });
    },
  },
  {
    id: 'manifest-put-unknown-type',
    section: PUSH,
    level: 'OURS',
    title: 'a manifest of a type that nobody knows',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', { mediaType: 'application/vnd.example.thing.v1+json', thing: true });
      const { headers } = await target.send('GET', `/v2/${name}/manifests/v1`);
      equal(headers['content-type'], 'application/vnd.example.thing.v1+json');
    },
  },
  {
    id: 'manifest-put-4-mb',
    section: PUSH,
    level: 'SHOULD',
    title: 'a manifest of 4 MB is taken',
    run: async (target) => {
      const name = target.freshName();
      const annotations = { big: 'x'.repeat(3_990_000) };
      wantStatus(
        await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name, { annotations }) }),
        201,
      );
    },
  },
  {
    id: 'manifest-put-too-large',
    section: PUSH,
    level: 'SHOULD',
    title: 'a manifest of 5 MB is a 413',
    run: async (target) => {
      const name = target.freshName();
      const annotations = { big: 'x'.repeat(5_000_000) };
      wantStatus(
        await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name, { annotations }) }),
        413,
      );
    },
  },
  ...Object.entries({
    'no JSON': '{',
    'no object': '[]',
    'schema version 1': JSON.stringify({ schemaVersion: 1, mediaType: MANIFEST }),
    'another type inside': JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] }),
    'no config': JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [] }),
  }).map(([what, text]): ConformanceCase => ({
    id: `manifest-put-${what.replaceAll(' ', '-')}`,
    section: 'Error Codes',
    level: 'SHOULD',
    title: `a manifest with ${what} is a 400 with MANIFEST_INVALID`,
    run: async (target) =>
      wantError(
        await put(target, `/v2/${target.freshName()}/manifests/v1`, { document: Buffer.from(text) }),
        400,
        'MANIFEST_INVALID',
      ),
  })),
  ...([MANIFEST, INDEX] as const).map((mediaType): ConformanceCase => ({
    id: `manifest-put-polyglot-${mediaType === INDEX ? 'index' : 'manifest'}`,
    section: 'CVE-2021-41190',
    level: 'MUST',
    title: `a document with layers and manifests is refused as ${mediaType}`,
    run: async (target) => {
      const name = target.freshName();
      const document = await target.image(name, { mediaType, manifests: [] });
      wantError(await put(target, `/v2/${name}/manifests/v1`, { document, type: mediaType }), 400, 'MANIFEST_INVALID');
    },
  })),
  {
    id: 'manifest-put-sha512',
    section: PUSH,
    level: 'MAY',
    title: 'a manifest by its sha512',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const digest = digestOf(bytesOf(image), 'sha512');
      const answer = await put(target, `/v2/${name}/manifests/${digest}`, { document: image });
      wantStatus(answer, 201);
      equal(answer.headers['docker-content-digest'], digest);
      wantStatus(await target.send('GET', `/v2/${name}/manifests/${digest}`, { headers: { Accept: MANIFEST } }), 200);
    },
  },
  {
    id: 'manifest-put-tags',
    section: PUSH,
    level: 'MAY',
    title: 'ten tags with a push by digest, each of them in OCI-Tag',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const tags = Array.from({ length: 10 }, (_, at) => `t${String(at)}`);
      const query = tags.map((tag) => `tag=${tag}`).join('&');
      const answer = await put(target, `/v2/${name}/manifests/${digestOf(bytesOf(image))}?${query}`, {
        document: image,
      });
      wantStatus(answer, 201);
      const said = [answer.headers['oci-tag'] ?? ''].flat().join(', ').split(/,\s*/).sort();
      deepEqual(said, tags);
      for (const tag of tags)
        wantStatus(await target.send('HEAD', `/v2/${name}/manifests/${tag}`, { headers: { Accept: MANIFEST } }), 200);
    },
  },
  {
    id: 'manifest-put-retag',
    section: PUSH,
    level: 'MUST',
    title: 'a tag moves to the manifest that was pushed last',
    run: async (target) => {
      const name = target.freshName();
      const first = await target.pushManifest(name, 'v1', await target.image(name));
      const second = await target.pushManifest(name, 'v1', await target.image(name));
      const { headers } = await target.send('HEAD', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
      equal(headers['docker-content-digest'], second.digest);
      wantStatus(
        await target.send('HEAD', `/v2/${name}/manifests/${first.digest}`, { headers: { Accept: MANIFEST } }),
        200,
      );
    },
  },
];
