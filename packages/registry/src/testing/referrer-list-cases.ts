import { deepEqual, equal, match, ok } from 'node:assert/strict';

import type { Answer, ConformanceCase, ConformanceTarget } from './case.ts';
import { digestOf, INDEX, MANIFEST, wantError, wantStatus } from './case.ts';
import { bytesOf, missing, put } from './manifest-steps.ts';

const REFERRERS = 'Listing Referrers';
const SUBJECT = 'Pushing Manifests with Subject';
const subjectOf = (digest: string): object => ({ mediaType: MANIFEST, digest, size: 4 });

const list = (target: ConformanceTarget, name: string, query: string): Promise<Answer> =>
  target.send('GET', `/v2/${name}/referrers/${query}`);

const listed = (answer: Answer): readonly Record<string, unknown>[] => {
  wantStatus(answer, 200);
  return (JSON.parse(answer.body.toString()) as { readonly manifests: readonly Record<string, unknown>[] }).manifests;
};

const digestsOf = (answer: Answer): readonly unknown[] =>
  listed(answer)
    .map(({ digest }) => digest)
    .sort();

/** Pushes an image that refers to a digest, by its own one. */
async function refer(
  target: ConformanceTarget,
  name: string,
  { subject = missing, ...more }: { readonly subject?: string } & Readonly<Record<string, unknown>> = {},
): Promise<Answer & { readonly digest: string }> {
  const document = await target.image(name, { subject: subjectOf(subject), ...more });
  const digest = digestOf(bytesOf(document));
  const answer = await put(target, `/v2/${name}/manifests/${digest}`, { document });
  wantStatus(answer, 201);
  return { ...answer, digest };
}

const indexReferring = (more: object = {}): object => ({
  schemaVersion: 2,
  mediaType: INDEX,
  manifests: [],
  subject: subjectOf(missing),
  ...more,
});

/** What lists of referrers have in them, beside what every registry gets right. */
export const referrerListCases: readonly ConformanceCase[] = [
  {
    id: 'subject-header-index',
    section: SUBJECT,
    level: 'MUST',
    title: 'the push of an index with a subject is answered with OCI-Subject',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/manifests/v1`;
      const answer = await put(target, path, { document: indexReferring(), type: INDEX });
      wantStatus(answer, 201);
      equal(answer.headers['oci-subject'], missing);
    },
  },
  {
    id: 'subject-header-none',
    section: SUBJECT,
    level: 'OURS',
    title: 'a push without a subject is answered without OCI-Subject',
    run: async (target) => {
      const name = target.freshName();
      const answer = await put(target, `/v2/${name}/manifests/v1`, { document: await target.image(name) });
      wantStatus(answer, 201);
      equal(answer.headers['oci-subject'], undefined);
    },
  },
  {
    id: 'subject-sha512',
    section: REFERRERS,
    level: 'MUST',
    title: 'a subject by its sha512 has its referrers under that digest',
    run: async (target) => {
      const name = target.freshName();
      const subject = digestOf('nobody has this', 'sha512');
      const { headers, digest } = await refer(target, name, { subject });
      equal(headers['oci-subject'], subject);
      deepEqual(digestsOf(await list(target, name, subject)), [digest]);
    },
  },
  {
    id: 'subject-after',
    section: 'Push',
    level: 'MUST',
    title: 'a subject that is pushed after its referrer has it',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      const { digest } = await refer(target, name, { subject: digestOf(bytesOf(image)) });
      const subject = await target.pushManifest(name, 'v1', image);
      deepEqual(digestsOf(await list(target, name, subject.digest)), [digest]);
    },
  },
  {
    id: 'referrers-missing-repository',
    section: REFERRERS,
    level: 'MUST',
    title: "the referrers in a repository that isn't there are an empty list, not a 404",
    run: async (target) => {
      const answer = await list(target, target.freshName(), missing);
      deepEqual(listed(answer), []);
      equal(answer.headers['content-type'], INDEX);
    },
  },
  {
    id: 'referrers-several',
    section: REFERRERS,
    level: 'MUST',
    title: 'all referrers of one subject are listed, each once, and none of another one',
    run: async (target) => {
      const name = target.freshName();
      const { digest: one } = await refer(target, name);
      const { digest: other } = await refer(target, name);
      await refer(target, name, { subject: digestOf('another') });
      deepEqual(digestsOf(await list(target, name, missing)), [one, other].sort());
    },
  },
  {
    id: 'referrers-here-only',
    section: REFERRERS,
    level: 'MUST',
    title: 'referrers in another repository are not listed',
    run: async (target) => {
      const [name, other] = [target.freshName(), target.freshName()];
      await refer(target, other);
      const { digest } = await refer(target, name);
      deepEqual(digestsOf(await list(target, name, missing)), [digest]);
    },
  },
  {
    id: 'referrers-by-tag',
    section: 'Enabling the Referrers API',
    level: 'MUST',
    title: 'a referrer that was pushed by tag is listed too, and once when it has two tags',
    run: async (target) => {
      const name = target.freshName();
      const document = await target.image(name, { subject: subjectOf(missing) });
      const { digest } = await target.pushManifest(name, 'a', document);
      await target.pushManifest(name, 'b', document);
      deepEqual(digestsOf(await list(target, name, missing)), [digest]);
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/a`), 202);
      deepEqual(digestsOf(await list(target, name, missing)), [digest]);
    },
  },
  {
    id: 'referrers-artifact-type-empty',
    section: REFERRERS,
    level: 'MUST',
    title: "an empty artifactType is the config's media type",
    run: async (target) => {
      const name = target.freshName();
      await refer(target, name, { artifactType: '' });
      const [only] = listed(await list(target, name, missing));
      equal(only?.['artifactType'], 'application/vnd.oci.image.config.v1+json');
    },
  },
  {
    id: 'referrers-index-artifact-type',
    section: REFERRERS,
    level: 'MUST',
    title: 'the descriptor of an index has its artifactType and its annotations',
    run: async (target) => {
      const name = target.freshName();
      const more = { artifactType: 'application/vnd.example.list', annotations: { 'org.example': 'yes' } };
      await target.pushManifest(name, 'i', indexReferring(more));
      const [only] = listed(await list(target, name, missing));
      equal(only?.['artifactType'], more.artifactType);
      deepEqual(only['annotations'], more.annotations);
    },
  },
  {
    id: 'referrers-index-artifact-type-empty',
    section: REFERRERS,
    level: 'MUST',
    title: 'the descriptor of an index with an empty artifactType has none',
    run: async (target) => {
      const name = target.freshName();
      await target.pushManifest(name, 'i', indexReferring({ artifactType: '' }));
      const [only] = listed(await list(target, name, missing));
      ok(only !== undefined && !Object.hasOwn(only, 'artifactType'));
    },
  },
  {
    id: 'referrers-filter-config',
    section: REFERRERS,
    level: 'SHOULD',
    title: 'the filter knows the artifactType that comes from a config, too',
    run: async (target) => {
      const name = target.freshName();
      const { digest } = await refer(target, name);
      await refer(target, name, { artifactType: 'application/vnd.example.a' });
      const type = encodeURIComponent('application/vnd.oci.image.config.v1+json');
      const answer = await list(target, name, `${missing}?artifactType=${type}`);
      equal(answer.headers['oci-filters-applied'], 'artifactType');
      deepEqual(digestsOf(answer), [digest]);
    },
  },
  ...['sha256:abc', 'v1', `md5:${'0'.repeat(32)}`].map((bad): ConformanceCase => ({
    id: `referrers-bad-${bad.slice(0, 8)}`,
    section: REFERRERS,
    level: 'MUST',
    title: `the referrers of ${bad.slice(0, 12)} are a 400 with DIGEST_INVALID`,
    run: async (target) => wantError(await list(target, target.freshName(), bad), 400, 'DIGEST_INVALID'),
  })),
  {
    id: 'referrers-tag-schema',
    section: 'Enabling the Referrers API',
    level: 'MUST',
    title: 'what a client keeps by the tag schema too is a tag like any other, and its referrers are listed once',
    run: async (target) => {
      const name = target.freshName();
      const { digest } = await refer(target, name);
      const tag = missing.replace(':', '-');
      const manifests = [{ mediaType: MANIFEST, digest, size: 4, artifactType: 'application/vnd.example.a' }];
      await target.pushManifest(name, tag, { schemaVersion: 2, mediaType: INDEX, manifests });
      deepEqual(digestsOf(await list(target, name, missing)), [digest]);
      const headers = { Accept: INDEX };
      deepEqual(digestsOf(await target.send('GET', `/v2/${name}/manifests/${tag}`, { headers })), [digest]);
    },
  },
  {
    id: 'referrers-pages',
    section: REFERRERS,
    level: 'MUST',
    title: 'referrers that do not fit into one manifest come in several, by Link',
    run: async (target) => {
      const name = target.freshName();
      const pushed: string[] = [];
      for (let at = 0; at < 5; at++) {
        const { digest } = await refer(target, name, { annotations: { big: 'x'.repeat(1_000_000) } });
        pushed.push(digest);
      }
      const seen: unknown[] = [];
      let path: string | undefined = `/v2/${name}/referrers/${missing}`;
      for (let page = 0; path !== undefined && page < 10; page++) {
        const answer = await target.send('GET', path);
        seen.push(...digestsOf(answer));
        ok(answer.body.byteLength <= 4 * 1024 * 1024, 'a page is larger than a manifest may be');
        const link = [answer.headers['link'] ?? ''].flat().join();
        if (link !== '') match(link, /rel="?next"?/);
        path = /<([^>]+)>/.exec(link)?.[1];
      }
      deepEqual(seen.sort(), pushed.sort());
    },
  },
];
