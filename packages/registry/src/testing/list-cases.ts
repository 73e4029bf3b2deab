import { deepEqual, equal, match, ok } from 'node:assert/strict';

import type { Answer, ConformanceCase, ConformanceTarget } from './case.ts';
import { digestOf, json, wantError, wantStatus } from './case.ts';

const TAGS = 'Listing Tags';
const digest = digestOf('nobody has this');

/** Pushes one image under several tags. */
async function tagged(target: ConformanceTarget, ...tags: readonly string[]): Promise<string> {
  const name = target.freshName();
  const image = await target.image(name);
  for (const tag of tags) await target.pushManifest(name, tag, image);
  return name;
}

const list = (target: ConformanceTarget, name: string, query = ''): Promise<Answer> =>
  target.send('GET', `/v2/${name}/tags/list${query}`);

interface PageRow {
  readonly query: string;
  readonly tags: readonly string[];
  readonly title: string;
}

const ALL = ['10', '9', 'A', 'b', 'c'];
const pages: readonly PageRow[] = [
  { query: '', tags: ALL, title: 'all tags in lexical order' },
  { query: '?n=2', tags: ['10', '9'], title: 'n=2 is the first two' },
  { query: '?n=2&last=9', tags: ['A', 'b'], title: 'n=2 and last are the next two' },
  { query: '?n=2&last=b', tags: ['c'], title: 'the last page may be shorter' },
  { query: '?n=100', tags: ALL, title: 'an n that is larger is all' },
  { query: '?last=A', tags: ['b', 'c'], title: 'last without n is all that follow' },
  { query: '?last=AA', tags: ['b', 'c'], title: "a last that isn't there is only a place" },
  { query: '?last=c', tags: [], title: 'nothing follows the last' },
  { query: '?n=0', tags: [], title: 'n=0 is an empty list' },
];

const tagCases: readonly ConformanceCase[] = [
  ...pages.map(({ query, tags, title }): ConformanceCase => ({
    id: `tags${query}`,
    section: TAGS,
    level: 'MUST',
    title,
    run: async (target) => {
      const name = await tagged(target, 'c', 'A', '9', 'b', '10');
      const answer = await list(target, name, query);
      wantStatus(answer, 200);
      deepEqual(json(answer), { name, tags });
    },
  })),
  {
    id: 'tags-n-0-link',
    section: TAGS,
    level: 'MUST',
    title: 'n=0 has no Link',
    run: async (target) => {
      const answer = await list(target, await tagged(target, 'a', 'b'), '?n=0');
      wantStatus(answer, 200);
      equal(answer.headers['link'], undefined);
    },
  },
  {
    id: 'tags-link',
    section: TAGS,
    level: 'MUST',
    title: 'the Link of a page that is not the last leads to the next one, to the end',
    run: async (target) => {
      const name = await tagged(target, 'a', 'b', 'c');
      const seen: unknown[] = [];
      let path: string | undefined = `/v2/${name}/tags/list?n=1`;
      for (let page = 0; path !== undefined && page < 10; page++) {
        const answer = await target.send('GET', path);
        seen.push(...(json(answer)['tags'] as readonly unknown[]));
        const link = answer.headers['link'];
        if (link !== undefined) match([link].flat().join(), /rel="?next"?/);
        path = /<([^>]+)>/.exec([link ?? ''].flat().join())?.[1];
      }
      deepEqual(seen, ['a', 'b', 'c']);
    },
  },
  {
    id: 'tags-n-exact',
    section: TAGS,
    level: 'MUST',
    title: 'an n that is the number of tags is all of them',
    run: async (target) => {
      const answer = await list(target, await tagged(target, 'a', 'b'), '?n=2');
      wantStatus(answer, 200);
      deepEqual(json(answer)['tags'], ['a', 'b']);
    },
  },
  {
    id: 'tags-n-0-last',
    section: TAGS,
    level: 'MUST',
    title: 'n=0 is empty and has no Link, wherever it begins',
    run: async (target) => {
      const answer = await list(target, await tagged(target, 'a', 'b'), '?n=0&last=a');
      wantStatus(answer, 200);
      deepEqual(json(answer)['tags'] ?? [], []);
      equal(answer.headers['link'], undefined);
    },
  },
  {
    id: 'tags-none',
    section: TAGS,
    level: 'MUST',
    title: 'a repository without tags is a 200 with an empty list',
    run: async (target) => {
      const name = target.freshName();
      const image = await target.image(name);
      await target.pushManifest(name, digestOf(JSON.stringify(image)), image);
      const answer = await list(target, name);
      wantStatus(answer, 200);
      deepEqual(json(answer)['tags'] ?? [], []);
    },
  },
  {
    id: 'tags-deleted',
    section: 'Deleting tags',
    level: 'MUST',
    title: 'a deleted tag is not listed any more, a moved one once',
    run: async (target) => {
      const name = await tagged(target, 'a', 'b', 'c');
      await target.pushManifest(name, 'c', await target.image(name));
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/b`), 202);
      deepEqual(json(await list(target, name))['tags'], ['a', 'c']);
    },
  },
  {
    id: 'tags-last-deleted',
    section: TAGS,
    level: 'OURS',
    title: 'paging goes on where the last tag was, also when it is deleted meanwhile',
    run: async (target) => {
      const name = await tagged(target, 'a', 'b', 'c');
      wantStatus(await target.send('DELETE', `/v2/${name}/manifests/b`), 202);
      deepEqual(json(await list(target, name, '?n=5&last=b'))['tags'], ['c']);
    },
  },
  {
    id: 'tags-missing-repository',
    section: 'Endpoints',
    level: 'MUST',
    title: "the tags of a repository that isn't there are a 404 with NAME_UNKNOWN",
    run: async (target) => wantError(await list(target, target.freshName()), 404, 'NAME_UNKNOWN'),
  },
  ...['-1', 'many', '1.5', '99999999999999999999'].map((n): ConformanceCase => ({
    id: `tags-n-${n}`,
    section: TAGS,
    level: 'OURS',
    title: `n=${n} is a 400`,
    run: async (target) => wantStatus(await list(target, await tagged(target, 'a'), `?n=${n}`), 400),
  })),
  {
    id: 'catalog',
    section: 'Docker Registry HTTP API V2',
    level: 'MAY',
    title: '_catalog lists repositories page by page',
    run: async (target) => {
      const name = await tagged(target, 'a');
      const before = name.slice(0, -1);
      const answer = await target.send('GET', `/v2/_catalog?n=1&last=${encodeURIComponent(before)}`);
      wantStatus(answer, 200);
      deepEqual(json(answer), { repositories: [name] });
    },
  },
];

const apiCases: readonly ConformanceCase[] = [
  {
    id: 'version',
    section: 'Determining Support',
    level: 'MUST',
    title: 'GET /v2/ is a 200',
    run: async (target) => wantStatus(await target.send('GET', '/v2/'), 200),
  },
  ...(['version', 'tags', 'referrers'] as const).map((what): ConformanceCase => ({
    id: `head-${what}`,
    section: 'RFC 9110, 9.1',
    level: 'MUST',
    title: `HEAD is answered like GET, without the body: ${what}`,
    run: async (target) => {
      const name = await tagged(target, 'a');
      const path = { version: '/v2/', tags: `/v2/${name}/tags/list`, referrers: `/v2/${name}/referrers/${digest}` }[
        what
      ];
      const [head, get] = [await target.send('HEAD', path), await target.send('GET', path)];
      wantStatus(head, 200);
      equal(head.headers['content-type'], get.headers['content-type']);
      equal(head.headers['content-length'], get.headers['content-length']);
      equal(head.body.byteLength, 0);
    },
  })),
  {
    id: 'no-endpoint',
    section: 'Endpoints',
    level: 'MUST',
    title: 'what is no endpoint is a 404',
    run: async (target) => wantStatus(await target.send('GET', '/v2/a/nonsense/b'), 404),
  },
  {
    id: 'wrong-method',
    section: 'RFC 9110, 15.5.6',
    level: 'MUST',
    title: 'a method that an endpoint has not is a 405 with Allow',
    run: async (target) => {
      const answer = await target.send('POST', `/v2/a/blobs/${digest}`);
      wantStatus(answer, 405);
      ok(answer.headers.allow !== undefined);
    },
  },
];

const badPaths: readonly (readonly [string, string, string])[] = [
  ['a short digest', '/v2/a/blobs/sha256:abc', 'DIGEST_INVALID'],
  ['a digest in capitals', `/v2/a/blobs/sha256:${'A'.repeat(64)}`, 'DIGEST_INVALID'],
  ['a digest of an unknown algorithm', `/v2/a/blobs/md5:${'0'.repeat(32)}`, 'DIGEST_INVALID'],
  ['a digest that is a path', '/v2/a/blobs/sha256:..%2f..%2fetc', 'NAME_INVALID'],
  ['a malformed digest of a manifest', '/v2/a/manifests/sha256:abc', 'DIGEST_INVALID'],
  ['a name in capitals', '/v2/A/tags/list', 'NAME_INVALID'],
  ['a name of dots', '/v2/a/../b/tags/list', 'NAME_INVALID'],
  ['a name of encoded dots', '/v2/a/%2e%2e/b/tags/list', 'NAME_INVALID'],
  ['a name of dots encoded twice', '/v2/a/%252e%252e/b/tags/list', 'NAME_INVALID'],
  ['an encoded slash', '/v2/a%2f..%2fb/tags/list', 'NAME_INVALID'],
  ['an encoded NUL', '/v2/a%00/tags/list', 'NAME_INVALID'],
  ['a broken encoding', '/v2/a%zz/tags/list', 'NAME_INVALID'],
  ['a name that is too long', `/v2/${'a'.repeat(300)}/tags/list`, 'NAME_INVALID'],
];

const badPathCases = badPaths.map(([what, path, code]): ConformanceCase => ({
  id: `path-${what.replaceAll(' ', '-')}`,
  section: 'Error Codes',
  level: 'OURS',
  title: `${what} is a 400 with a JSON body that says ${code}`,
  run: async (target) => wantError(await target.send('GET', path), 400, code),
}));

export const listCases: readonly ConformanceCase[] = [...tagCases, ...apiCases, ...badPathCases];
