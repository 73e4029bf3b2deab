import { deepEqual, equal, match, ok } from 'node:assert/strict';

import type { ConformanceCase } from './case.ts';
import { json, MANIFEST, wantError, wantStatus } from './case.ts';
import { bytesOf, missing } from './manifest-steps.ts';

const PULL = 'Pulling manifests';
const headers = { Accept: MANIFEST };

const names: readonly (readonly [string, string])[] = [
  ['dot', 'a.b'],
  ['underscore', 'a_b'],
  ['two-underscores', 'a__b'],
  ['dashes', 'a---b'],
  ['digits', '0/1/2'],
  ['many-parts', 'a/b/c/d/e/f/g/h'],
  ['endpoints', 'blobs/uploads/manifests/tags/list'],
  ['long', 'n'.repeat(160)],
];
const nameCases = names.map(([what, part]): ConformanceCase => ({
  id: `name-${what}`,
  section: PULL,
  level: 'MUST',
  title: `a repository may be called ${part.slice(0, 40)}`,
  run: async (target) => {
    const name = `${target.freshName()}/${part}`;
    const image = await target.image(name);
    await target.pushManifest(name, 'v1', image);
    deepEqual((await target.send('GET', `/v2/${name}/manifests/v1`, { headers })).body, bytesOf(image));
    deepEqual(json(await target.send('GET', `/v2/${name}/tags/list`)), { name, tags: ['v1'] });
  },
}));

const tags: readonly (readonly [string, string])[] = [
  ['long', 't'.repeat(128)],
  ['underscore', '_'],
  ['mixed', 'V1.0_rc-2'],
  ['list', 'list'],
  ['hex', 'a'.repeat(64)],
];
const tagCases = tags.map(([what, tag]): ConformanceCase => ({
  id: `tag-${what}`,
  section: PULL,
  level: 'MUST',
  title: `a tag may be ${tag.slice(0, 40)}`,
  run: async (target) => {
    const name = target.freshName();
    const image = await target.image(name);
    await target.pushManifest(name, tag, image);
    deepEqual((await target.send('GET', `/v2/${name}/manifests/${tag}`, { headers })).body, bytesOf(image));
    deepEqual(json(await target.send('GET', `/v2/${name}/tags/list`))['tags'], [tag]);
  },
}));

const badTags = ['.INVALID', '-a', 'a+b', 't'.repeat(129)];
const badTagCases = badTags.flatMap((tag): readonly ConformanceCase[] => [
  ...(['GET', 'HEAD', 'DELETE'] as const).map((method): ConformanceCase => ({
    id: `tag-malformed-${method}-${tag.slice(0, 8)}`,
    section: method === 'DELETE' ? 'Endpoints' : PULL,
    level: 'MUST',
    title: `${method} of ${tag.slice(0, 8)}, which no tag can be, is a 404`,
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      wantStatus(await target.send(method, `/v2/${name}/manifests/${tag}`), 404);
    },
  })),
  {
    id: `tag-malformed-PUT-${tag.slice(0, 8)}`,
    section: 'Pushing Manifests',
    level: 'MUST',
    title: `PUT of ${tag.slice(0, 8)}, which no tag can be, is refused`,
    run: async (target) => {
      const name = target.freshName();
      const body = bytesOf(await target.image(name));
      const sent = { body, headers: { 'Content-Type': MANIFEST } };
      wantStatus(await target.putManifest(name, tag, sent), 400, 404);
    },
  },
]);

const digestCases: readonly ConformanceCase[] = [
  {
    id: 'digest-malformed-put',
    section: 'Pushing Manifests',
    level: 'MUST',
    title: 'a manifest is not taken by a malformed digest: a 400 with DIGEST_INVALID',
    run: async (target) => {
      const name = target.freshName();
      const sent = { body: bytesOf(await target.image(name)), headers: { 'Content-Type': MANIFEST } };
      wantError(await target.putManifest(name, 'sha256:baddigeststring', sent), 400, 'DIGEST_INVALID');
    },
  },
  {
    id: 'digest-malformed-get',
    section: PULL,
    level: 'MUST',
    title: 'a manifest of a malformed digest is a 400 or a 404',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      wantStatus(await target.send('GET', `/v2/${name}/manifests/sha256:baddigeststring`), 400, 404);
    },
  },
];

const proxyCases: readonly ConformanceCase[] = [
  {
    id: 'ns-ignored',
    section: 'Registry Proxying',
    level: 'MAY',
    title: 'an ns that the registry does not know is ignored, or said in OCI-Namespace',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      await target.pushManifest(name, 'v1', image);
      const answer = await target.send('GET', `/v2/${name}/manifests/v1?ns=registry.example`, { headers });
      const said = answer.headers['oci-namespace'];
      if (said === undefined) deepEqual(answer.body, bytesOf(image));
      else equal(said, 'registry.example');
    },
  },
];

const answerCases: readonly ConformanceCase[] = [
  {
    id: 'error-message',
    section: 'Error Codes',
    level: 'SHOULD',
    title: 'an error has a code in capitals, a message that is a text, and a detail that is anything',
    run: async (target) => {
      const answer = await target.send('GET', `/v2/${target.freshName()}/manifests/${missing}`);
      const { errors } = json(answer) as { readonly errors: readonly Record<string, unknown>[] };
      for (const { code, message = '' } of errors) {
        match(String(code), /^[A-Z_]+$/);
        equal(typeof message, 'string');
      }
    },
  },
  {
    id: 'error-head',
    section: 'RFC 9110, 9.3.2',
    level: 'MUST',
    title: 'an error of HEAD has no body',
    run: async (target) => {
      const answer = await target.send('HEAD', `/v2/${target.freshName()}/manifests/${missing}`);
      wantStatus(answer, 404);
      equal(answer.body.byteLength, 0);
    },
  },
  {
    id: 'warnings',
    section: 'Warnings',
    level: 'MUST',
    title: 'what is in Warning headers is of the form 299 - "…", and 4096 bytes at most',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      for (const path of ['/v2/', `/v2/${name}/manifests/v1`, `/v2/${name}/tags/list`]) {
        const warning = [(await target.send('GET', path, { headers })).headers['warning'] ?? []].flat().join(', ');
        ok(Buffer.byteLength(warning) <= 4096);
        match(warning, /^(299 - "([^"\\]|\\.)*"(,\s*)?)*$/);
      }
    },
  },
];

/** What names, tags and digests may be and must not, and how answers are written. */
export const namingCases: readonly ConformanceCase[] = [
  ...nameCases,
  ...tagCases,
  ...badTagCases,
  ...digestCases,
  ...proxyCases,
  ...answerCases,
];
