import { deepEqual, equal, ok } from 'node:assert/strict';

import type { Answer, ConformanceCase, ConformanceTarget } from './case.ts';
import { describe, digestOf, INDEX, MANIFEST, wantStatus } from './case.ts';
import { bytesOf, missing, put } from './manifest-steps.ts';

const SUBJECT = 'Pushing Manifests with Subject';
const REFERRERS = 'Listing Referrers';

/** Pushes an image, and a referrer of it; gives where its referrers are listed. */
async function referred(
  target: ConformanceTarget,
  more: object = {},
): Promise<{ name: string; path: string; pushed: Answer; digest: string }> {
  const name = target.freshName();
  const subject = await target.pushManifest(name, 'subject', await target.image(name));
  const referrer = await target.image(name, { subject, ...more });
  const digest = digestOf(bytesOf(referrer));
  const pushed = await put(target, `/v2/${name}/manifests/${digest}`, { document: referrer });
  wantStatus(pushed, 201);
  return { name, path: `/v2/${name}/referrers/${subject.digest}`, pushed, digest };
}

const listed = (answer: Answer): readonly Record<string, unknown>[] => {
  wantStatus(answer, 200);
  return (JSON.parse(answer.body.toString()) as { readonly manifests: readonly Record<string, unknown>[] }).manifests;
};

export const referrerCases: readonly ConformanceCase[] = [
  {
    id: 'subject-header',
    section: SUBJECT,
    level: 'MUST',
    title: 'a push with a subject is answered with OCI-Subject',
    run: async (target) => {
      const { pushed, path } = await referred(target);
      equal(pushed.headers['oci-subject'], path.slice(path.lastIndexOf('/') + 1));
    },
  },
  {
    id: 'subject-missing',
    section: 'Push',
    level: 'MUST',
    title: "a subject that isn't there is accepted, and its referrers are listed",
    run: async (target) => {
      const name = target.freshName();
      const subject = { mediaType: MANIFEST, digest: missing, size: 4 };
      await target.pushManifest(name, 'v1', await target.image(name, { subject }));
      equal(listed(await target.send('GET', `/v2/${name}/referrers/${missing}`)).length, 1);
    },
  },
  {
    id: 'referrers-list',
    section: REFERRERS,
    level: 'MUST',
    title: 'the list is an image index with a descriptor of the referrer',
    run: async (target) => {
      const { path, digest } = await referred(target);
      const answer = await target.send('GET', path);
      equal(answer.headers['content-type'], INDEX);
      const [only] = listed(answer);
      equal(only?.['digest'], digest);
      equal(only['mediaType'], MANIFEST);
      ok(Number(only['size']) > 0);
      equal((JSON.parse(answer.body.toString()) as Record<string, unknown>)['mediaType'], INDEX);
    },
  },
  {
    id: 'referrers-artifact-type',
    section: REFERRERS,
    level: 'MUST',
    title: 'a descriptor has the artifactType and the annotations of its manifest',
    run: async (target) => {
      const more = { artifactType: 'application/vnd.example.sbom', annotations: { 'org.example': 'yes' } };
      const [only] = listed(await target.send('GET', (await referred(target, more)).path));
      equal(only?.['artifactType'], more.artifactType);
      deepEqual(only['annotations'], more.annotations);
    },
  },
  {
    id: 'referrers-config-type',
    section: REFERRERS,
    level: 'MUST',
    title: "without one, the artifactType is the config's media type",
    run: async (target) => {
      const [only] = listed(await target.send('GET', (await referred(target)).path));
      equal(only?.['artifactType'], 'application/vnd.oci.image.config.v1+json');
    },
  },
  {
    id: 'referrers-index',
    section: REFERRERS,
    level: 'MUST',
    title: 'an index is a referrer too, and without an artifactType has none',
    run: async (target) => {
      const name = target.freshName();
      const subject = await target.pushManifest(name, 'v1', await target.image(name));
      await target.pushManifest(name, 'i', { schemaVersion: 2, mediaType: INDEX, manifests: [], subject });
      const [only] = listed(await target.send('GET', `/v2/${name}/referrers/${subject.digest}`));
      equal(only?.['mediaType'], INDEX);
      ok(!Object.hasOwn(only, 'artifactType'));
    },
  },
  {
    id: 'referrers-none',
    section: REFERRERS,
    level: 'MUST',
    title: 'no referrers is an empty list, not a 404',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'v1', await target.image(name));
      deepEqual(listed(await target.send('GET', `/v2/${name}/referrers/${missing}`)), []);
    },
  },
  {
    id: 'referrers-filter',
    section: REFERRERS,
    level: 'SHOULD',
    title: 'a filter by artifactType gives those, and says OCI-Filters-Applied',
    run: async (target) => {
      const { path } = await referred(target, { artifactType: 'application/vnd.example.a+b' });
      const query = (type: string): Promise<Answer> =>
        target.send('GET', `${path}?artifactType=${encodeURIComponent(type)}`);
      const [some, none] = [await query('application/vnd.example.a+b'), await query('application/vnd.example.c')];
      equal(some.headers['oci-filters-applied'], 'artifactType');
      equal(none.headers['oci-filters-applied'], 'artifactType');
      deepEqual([listed(some).length, listed(none).length], [1, 0]);
    },
  },
  {
    id: 'referrers-no-filter',
    section: REFERRERS,
    level: 'SHOULD',
    title: 'without a filter there is no OCI-Filters-Applied',
    run: async (target) => {
      const answer = await target.send('GET', (await referred(target)).path);
      wantStatus(answer, 200);
      equal(answer.headers['oci-filters-applied'], undefined);
    },
  },
  {
    id: 'referrers-bad-digest',
    section: REFERRERS,
    level: 'MUST',
    title: 'a malformed digest is a 400',
    run: async (target) => {
      const { name } = await referred(target);
      wantStatus(await target.send('GET', `/v2/${name}/referrers/sha256:x`), 400);
    },
  },
  {
    id: 'referrers-deleted',
    section: REFERRERS,
    level: 'MUST',
    title: 'a deleted referrer is not listed any more',
    run: async (target) => {
      const { name, path, digest } = await referred(target);
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/${digest}`), 202);
      deepEqual(listed(await target.send('GET', path)), []);
    },
  },
  {
    id: 'referrers-subject-deleted',
    section: REFERRERS,
    level: 'SHOULD',
    title: 'referrers stay listed when their subject is deleted',
    run: async (target) => {
      const { name, path } = await referred(target);
      await target.send('DELETE', `/v2/${name}/manifests/${path.slice(path.lastIndexOf('/') + 1)}`);
      equal(listed(await target.send('GET', path)).length, 1);
    },
  },
  {
    id: 'subject-described',
    section: SUBJECT,
    level: 'MUST',
    title: 'a manifest with a subject is read like any other',
    run: async (target) => {
      const { name, digest } = await referred(target);
      const answer = await target.send('GET', `/v2/${name}/manifests/${digest}`, { headers: { Accept: MANIFEST } });
      equal(describe(answer.body, MANIFEST).digest, digest);
    },
  },
];
