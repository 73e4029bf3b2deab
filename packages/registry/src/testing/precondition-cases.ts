import { deepEqual, equal } from 'node:assert/strict';

import type { Answer, ConformanceCase, ConformanceTarget } from './case.ts';
import { MANIFEST, wantStatus } from './case.ts';
import { bytesOf, missing } from './manifest-steps.ts';

const CONDITIONS = 'RFC 9110, 13.1';
const AT_ONCE = 6;

type Condition = Readonly<Record<string, string>>;

const push = async (target: ConformanceTarget, path: string, condition: Condition): Promise<Answer> => {
  const name = path.slice('/v2/'.length, path.indexOf('/manifests/'));
  const body = bytesOf(await target.image(name));
  return target.send('PUT', path, { body, headers: { 'Content-Type': MANIFEST, ...condition } });
};

/** A tag that is there, by its path and the ETag that GET says. */
async function tagged(target: ConformanceTarget): Promise<{ readonly path: string; readonly etag: string }> {
  const name = target.freshName();
  const { digest } = await target.pushManifest(name, 'v1', await target.image(name));
  const path = `/v2/${name}/manifests/v1`;
  const { headers } = await target.send('GET', path, { headers: { Accept: MANIFEST } });
  return { path, etag: headers.etag ?? `"${digest}"` };
}

const digestAt = async (target: ConformanceTarget, path: string): Promise<unknown> =>
  (await target.send('HEAD', path, { headers: { Accept: MANIFEST } })).headers['docker-content-digest'];

interface Row {
  readonly id: string;
  readonly title: string;
  readonly condition: (etag: string) => Condition;
  readonly met: boolean;
}

const rows: readonly Row[] = [
  { id: 'if-match', title: 'of what is there', condition: (etag) => ({ 'If-Match': etag }), met: true },
  { id: 'if-match-any', title: 'of anything', condition: () => ({ 'If-Match': '*' }), met: true },
  {
    id: 'if-match-several',
    title: 'of several, one of which is there',
    condition: (etag) => ({ 'If-Match': `"${missing}", ${etag}` }),
    met: true,
  },
  { id: 'if-match-other', title: 'of another', condition: () => ({ 'If-Match': `"${missing}"` }), met: false },
  { id: 'if-match-weak', title: 'of a weak one', condition: (etag) => ({ 'If-Match': `W/${etag}` }), met: false },
  { id: 'if-none-match', title: 'of what is there', condition: (etag) => ({ 'If-None-Match': etag }), met: false },
  { id: 'if-none-match-any', title: 'of anything', condition: () => ({ 'If-None-Match': '*' }), met: false },
  {
    id: 'if-none-match-other',
    title: 'of another',
    condition: () => ({ 'If-None-Match': `"${missing}"` }),
    met: true,
  },
];

const rowCases = rows.flatMap(({ id, title, condition, met }): readonly ConformanceCase[] => [
  {
    id: `push-${id}`,
    section: CONDITIONS,
    level: 'SHOULD',
    title: `a push on the condition ${id.startsWith('if-none') ? 'If-None-Match' : 'If-Match'} ${title}`,
    run: async (target) => {
      const { path, etag } = await tagged(target);
      const before = await digestAt(target, path);
      const answer = await push(target, path, condition(etag));
      wantStatus(answer, met ? 201 : 412);
      equal((await digestAt(target, path)) === before, !met);
    },
  },
  {
    id: `delete-${id}`,
    section: CONDITIONS,
    level: 'SHOULD',
    title: `a deletion on the condition ${id.startsWith('if-none') ? 'If-None-Match' : 'If-Match'} ${title}`,
    run: async (target) => {
      const { path, etag } = await tagged(target);
      wantStatus(await target.send('DELETE', path, { headers: condition(etag) }), met ? 202 : 412);
      wantStatus(await target.send('GET', path, { headers: { Accept: MANIFEST } }), met ? 404 : 200);
    },
  },
]);

/** Conditions on changes, so that clients don't overwrite what they haven't seen. */
export const preconditionCases: readonly ConformanceCase[] = [
  ...rowCases,
  {
    id: 'push-if-match-new',
    section: CONDITIONS,
    level: 'SHOULD',
    title: "a push on the condition If-Match to a tag that isn't there is a 412",
    run: async (target) => {
      const path = `/v2/${target.freshName()}/manifests/v1`;
      wantStatus(await push(target, path, { 'If-Match': '*' }), 412);
      wantStatus(await target.send('GET', path), 404);
    },
  },
  {
    id: 'push-if-none-match-new',
    section: CONDITIONS,
    level: 'SHOULD',
    title: "a push on the condition If-None-Match: * to a tag that isn't there is a 201",
    run: async (target) =>
      wantStatus(await push(target, `/v2/${target.freshName()}/manifests/v1`, { 'If-None-Match': '*' }), 201),
  },
  {
    id: 'push-if-none-match-race',
    section: CONDITIONS,
    level: 'OURS',
    title: 'of several who make a tag at once with If-None-Match: *, one makes it',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/manifests/v1`;
      const answers = await Promise.all(
        Array.from({ length: AT_ONCE }, () => push(target, path, { 'If-None-Match': '*' })),
      );
      const refused = Array.from({ length: AT_ONCE - 1 }, () => 412);
      deepEqual(answers.map(({ status }) => status).sort(), [201, ...refused]);
    },
  },
];
