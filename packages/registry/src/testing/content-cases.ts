import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { ConformanceCase, ConformanceTarget, Described } from './case.ts';
import { describe, digestOf, INDEX, locationOf, MANIFEST, wantStatus } from './case.ts';
import { bytesOf, missing, put } from './manifest-steps.ts';

const PUSH = 'Pushing Manifests';
const EMPTY = Buffer.from('{}');
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** Pushes a manifest by tag and by digest, and pulls it by both. */
async function wantKept(
  target: ConformanceTarget,
  name: string,
  document: { readonly mediaType?: unknown },
): Promise<void> {
  const type = document.mediaType === INDEX ? INDEX : MANIFEST;
  const digest = digestOf(bytesOf(document));
  for (const reference of [digest, 'kept']) {
    const path = `/v2/${name}/manifests/${reference}`;
    const pushed = await put(target, path, { document, type });
    wantStatus(pushed, 201);
    equal(pushed.headers['docker-content-digest'] ?? digest, digest);
    for (const place of [path, locationOf(pushed)]) {
      const pulled = await target.send('GET', place, { headers: { Accept: type } });
      wantStatus(pulled, 200);
      equal(pulled.headers['content-type'], type);
      deepEqual(pulled.body, bytesOf(document));
    }
  }
}

/** An artifact as the image specification has it: the empty config, and blobs of any type. */
async function artifact(target: ConformanceTarget, name: string): Promise<Record<string, unknown>> {
  const content = randomBytes(32);
  await Promise.all([target.pushBlob(name, EMPTY), target.pushBlob(name, content)]);
  return {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: 'application/vnd.example.artifact',
    config: describe(EMPTY, 'application/vnd.oci.empty.v1+json'),
    layers: [describe(content, 'application/vnd.example.thing')],
  };
}

const indexOf = (manifests: readonly Described[], more: object = {}): Record<string, unknown> => ({
  schemaVersion: 2,
  mediaType: INDEX,
  manifests,
  ...more,
});

const kinds: Readonly<
  Record<string, (target: ConformanceTarget, name: string) => Promise<Readonly<Record<string, unknown>>>>
> = {
  'an artifact': artifact,
  'an artifact without layers': async (target, name) => {
    const empty = { ...describe(EMPTY, 'application/vnd.oci.empty.v1+json'), data: EMPTY.toString('base64') };
    return { ...(await artifact(target, name)), layers: [empty] };
  },
  'an index of artifacts': async (target, name) => {
    const member = await target.pushManifest(name, 'member', await artifact(target, name));
    return indexOf([member], { artifactType: 'application/vnd.example.list' });
  },
  'an image with data in its descriptors': async (target, name) => {
    const content = randomBytes(20);
    await target.pushBlob(name, content);
    return {
      ...(await target.image(name)),
      mediaType: MANIFEST,
      layers: [{ ...describe(content, LAYER), data: content.toString('base64') }],
    };
  },
  'an image with fields that nobody knows': async (target, name) => ({
    ...(await target.image(name, { 'org.example.field': { deep: [true, null, 1.5] } })),
    mediaType: MANIFEST,
  }),
  'an image without a mediaType': async (target, name) => {
    const { mediaType, ...image } = (await target.image(name)) as Record<string, unknown>;
    ok(mediaType === MANIFEST);
    return image;
  },
  'an image with null for what it has not': async (target, name) => ({
    ...(await target.image(name, { layers: null, subject: null, annotations: null })),
    mediaType: MANIFEST,
  }),
  'an image with one layer twice': async (target, name) => {
    const content = randomBytes(20);
    await target.pushBlob(name, content);
    const layers = [describe(content, LAYER), describe(content, LAYER)];
    return { ...(await target.image(name, { layers })), mediaType: MANIFEST };
  },
  'an image with sha512 in its descriptors': async (target, name) => {
    const content = randomBytes(20);
    const layer = { mediaType: LAYER, digest: await target.pushBlob(name, content, 'sha512'), size: content.length };
    return { ...(await target.image(name, { layers: [layer] })), mediaType: MANIFEST };
  },
};

const kindCases = Object.entries(kinds).map(([what, make]): ConformanceCase => ({
  id: `content-${what.split(' ').slice(1).join('-')}`,
  section: PUSH,
  level: 'MUST',
  title: `${what} is kept as it is`,
  run: async (target) => {
    const name = target.freshName();
    await wantKept(target, name, await make(target, name));
  },
}));

/** What a manifest may be, and what is kept of it. */
export const contentCases: readonly ConformanceCase[] = [
  ...kindCases,
  {
    id: 'content-4-mb',
    section: PUSH,
    level: 'SHOULD',
    title: 'a manifest of exactly four megabytes is kept',
    run: async (target) => {
      const name = target.freshName();
      const text = JSON.stringify(await target.image(name));
      const document = Buffer.from(text.padEnd(4_000_000));
      wantStatus(await put(target, `/v2/${name}/manifests/v1`, { document }), 201);
      const pulled = await target.send('GET', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
      deepEqual(pulled.body, document);
    },
  },
  {
    id: 'content-streamed',
    section: 'RFC 9112, 7.1',
    level: 'MUST',
    title: 'a manifest that is streamed without a length is kept',
    run: async (target) => {
      const name = target.freshName();
      const bytes = bytesOf(await target.image(name));
      const sent = { body: [bytes.subarray(0, 9), bytes.subarray(9)], headers: { 'Content-Type': MANIFEST } };
      wantStatus(await target.putManifest(name, 'v1', sent), 201);
      const pulled = await target.send('GET', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
      deepEqual(pulled.body, bytes);
    },
  },
  {
    id: 'content-type-bare',
    section: 'Pulling manifests',
    level: 'SHOULD',
    title: 'the Content-Type of a manifest has no parameters',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      for (const method of ['GET', 'HEAD']) {
        const answer = await target.send(method, `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } });
        equal(answer.headers['content-type'], MANIFEST);
      }
    },
  },
  {
    id: 'content-sha512-tags',
    section: PUSH,
    level: 'MAY',
    title: 'a manifest by its sha512 with tags is found by its tags, with that digest',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const digest = digestOf(bytesOf(image), 'sha512');
      const pushed = await put(target, `/v2/${name}/manifests/${digest}?tag=a&tag=b`, { document: image });
      wantStatus(pushed, 201);
      for (const tag of ['a', 'b']) {
        const answer = await target.send('HEAD', `/v2/${name}/manifests/${tag}`, { headers: { Accept: MANIFEST } });
        wantStatus(answer, 200);
        equal(answer.headers['docker-content-digest'], digest);
      }
    },
  },
  {
    id: 'content-wrong-sha512',
    section: PUSH,
    level: 'SHOULD',
    title: 'a manifest of another sha512 is a 400, and has no tags either',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      await target.pushManifest(name, 'other', await target.image(name));
      const path = `/v2/${name}/manifests/${digestOf('else', 'sha512')}?tag=a`;
      wantStatus(await put(target, path, { document: image }), 400);
      wantStatus(await target.send('HEAD', `/v2/${name}/manifests/a`), 404);
    },
  },
  {
    id: 'content-tags-many',
    section: PUSH,
    level: 'MAY',
    title: 'a thousand tags with one push are taken, or a 414 (or 431), and then none is',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      await target.pushManifest(name, 'other', image);
      const query = Array.from({ length: 1000 }, (_, at) => `tag=t${String(at)}`).join('&');
      const path = `/v2/${name}/manifests/${digestOf(bytesOf(image))}?${query}`;
      const pushed = await put(target, path, { document: image });
      wantStatus(pushed, 201, 414, 431);
      const head = await target.send('HEAD', `/v2/${name}/manifests/t999`, { headers: { Accept: MANIFEST } });
      wantStatus(head, pushed.status === 201 ? 200 : 404);
    },
  },
  {
    id: 'content-not-elsewhere',
    section: 'Pulling manifests',
    level: 'MUST',
    title: 'a manifest of one repository is not found in another one',
    run: async (target) => {
      const name = target.freshName();
      const { digest } = await target.pushManifest(name, 'v1', await target.image(name));
      const other = target.freshName();
      await target.pushManifest(other, 'v2', await target.image(other));
      for (const reference of [digest, 'v1']) {
        wantStatus(await target.send('GET', `/v2/${other}/manifests/${reference}`), 404);
      }
    },
  },
  {
    id: 'content-blob-elsewhere',
    section: 'Push',
    level: 'OURS',
    title: 'a blob that only another repository has is missing in a manifest',
    run: async (target) => {
      const [name, other] = [target.freshName(), target.freshName()];
      const content = randomBytes(20);
      await target.pushBlob(other, content);
      const document = await target.image(name, { layers: [describe(content, LAYER)] });
      wantStatus(await put(target, `/v2/${name}/manifests/v1`, { document }), 404, 400);
    },
  },
  {
    id: 'content-delete-and-again',
    section: 'Deleting Manifests',
    level: 'MUST',
    title: 'a deleted manifest can be pushed again',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const { digest } = await target.pushManifest(name, 'v1', image);
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${digest}`), 202);
      await target.pushManifest(name, 'v1', image);
      wantStatus(await target.send('GET', `/v2/${name}/manifests/v1`, { headers: { Accept: MANIFEST } }), 200);
    },
  },
  {
    id: 'content-delete-member',
    section: 'Deleting Manifests',
    level: 'MUST',
    title: 'deleting an index leaves its members',
    run: async (target) => {
      const name = target.freshName();
      const member = await target.pushManifest(name, 'member', await target.image(name));
      const { digest } = await target.pushManifest(name, 'list', indexOf([member]));
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${digest}`), 202);
      const path = `/v2/${name}/manifests/${member.digest}`;
      wantStatus(await target.send('GET', path, { headers: { Accept: MANIFEST } }), 200);
    },
  },
  {
    id: 'content-delete-twice',
    section: 'Deleting Manifests',
    level: 'MUST',
    title: 'a manifest and a tag can be deleted once, then are a 404',
    run: async (target) => {
      const name = target.freshName();
      const { digest } = await target.pushManifest(name, 'v1', await target.image(name));
      for (const reference of ['v1', digest]) {
        wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${reference}`), 202);
        wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${reference}`), 404);
      }
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${missing}`), 404);
    },
  },
];
