import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { ConformanceCase, ConformanceTarget } from './case.ts';
import { digestOf, wantError, wantStatus } from './case.ts';

const PULL = 'Pulling blobs';
const EXISTS = 'Checking if content exists in the registry';
const RANGE = 'RFC 9110, 14';
const DELETE = 'Deleting Blobs';
const missing = digestOf('nobody has this');
const text = Buffer.from('0123456789');

const pushed = async (target: ConformanceTarget, bytes: Uint8Array = text): Promise<string> => {
  const name = target.freshName();
  return `/v2/${name}/blobs/${await target.pushBlob(name, bytes)}`;
};

const reads: readonly ConformanceCase[] = [
  {
    id: 'blob-get',
    section: PULL,
    level: 'MUST',
    title: 'GET gives the blob with 200',
    run: async (target) => {
      const bytes = randomBytes(200_000);
      const answer = await target.send('GET', await pushed(target, bytes));
      wantStatus(answer, 200);
      deepEqual(answer.body, bytes);
      equal(answer.headers['content-length'], '200000');
    },
  },
  ...(['GET', 'HEAD'] as const).flatMap((method): ConformanceCase[] => [
    {
      id: `blob-digest-header-${method}`,
      section: method === 'GET' ? PULL : EXISTS,
      level: 'MUST',
      title: `${method} says Docker-Content-Digest`,
      run: async (target) => {
        const path = await pushed(target);
        equal((await target.send(method, path)).headers['docker-content-digest'], digestOf(text));
      },
    },
    {
      id: `blob-missing-${method}`,
      section: method === 'GET' ? PULL : EXISTS,
      level: 'MUST',
      title: `${method} of a blob that isn't there is a 404`,
      run: async (target) => {
        const name = target.freshName();
        await target.pushBlob(name, text);
        wantStatus(await target.send(method, `/v2/${name}/blobs/${missing}`), 404);
      },
    },
    {
      id: `blob-missing-repository-${method}`,
      section: method === 'GET' ? PULL : EXISTS,
      level: 'MUST',
      title: `${method} of a blob of a repository that isn't there is a 404`,
      run: async (target) => wantStatus(await target.send(method, `/v2/${target.freshName()}/blobs/${missing}`), 404),
    },
  ]),
  {
    id: 'blob-head',
    section: EXISTS,
    level: 'MUST',
    title: 'HEAD is a 200 with Content-Length and without a body',
    run: async (target) => {
      const answer = await target.send('HEAD', await pushed(target));
      wantStatus(answer, 200);
      equal(answer.headers['content-length'], '10');
      equal(answer.body.byteLength, 0);
    },
  },
  {
    id: 'blob-missing-code',
    section: 'Error Codes',
    level: 'MUST',
    title: 'the body of the 404 says BLOB_UNKNOWN',
    run: async (target) => {
      const name = target.freshName();
      await target.pushBlob(name, text);
      wantError(await target.send('GET', `/v2/${name}/blobs/${missing}`), 404, 'BLOB_UNKNOWN');
    },
  },
  {
    id: 'blob-not-elsewhere',
    section: PULL,
    level: 'MUST',
    title: 'a blob of one repository is not found in another one',
    run: async (target) => {
      const digest = await target.pushBlob(target.freshName(), text);
      wantStatus(await target.send('GET', `/v2/${target.freshName()}/blobs/${digest}`), 404);
    },
  },
  {
    id: 'blob-head-like-get',
    section: 'RFC 9110, 9.3.2',
    level: 'SHOULD',
    title: 'HEAD has the headers of GET',
    run: async (target) => {
      const path = await pushed(target);
      const [head, get] = [await target.send('HEAD', path), await target.send('GET', path)];
      for (const name of ['content-type', 'content-length', 'docker-content-digest', 'etag', 'accept-ranges']) {
        equal(head.headers[name], get.headers[name], name);
      }
    },
  },
  {
    id: 'blob-digest-header-sha512',
    section: PULL,
    level: 'MUST',
    title: 'the Docker-Content-Digest of a blob pulled by its sha512 is one of its digests',
    run: async (target) => {
      const name = target.freshName();
      const digest = await target.pushBlob(name, text, 'sha512');
      for (const method of ['GET', 'HEAD']) {
        const { headers } = await target.send(method, `/v2/${name}/blobs/${digest}`);
        ok([digest, digestOf(text)].includes(String(headers['docker-content-digest']) as typeof digest));
      }
    },
  },
  {
    id: 'blob-etag',
    section: 'RFC 9110, 13',
    level: 'SHOULD',
    title: 'If-None-Match with the ETag is a 304',
    run: async (target) => {
      const path = await pushed(target);
      const { etag } = (await target.send('GET', path)).headers;
      ok(etag !== undefined);
      wantStatus(await target.send('GET', path, { headers: { 'If-None-Match': etag } }), 304);
    },
  },
];

interface RangeRow {
  readonly header: string;
  readonly status: number;
  readonly body?: string;
  readonly contentRange?: string;
}

const ranges: readonly RangeRow[] = [
  { header: 'bytes=0-3', status: 206, body: '0123', contentRange: 'bytes 0-3/10' },
  { header: 'bytes=4-', status: 206, body: '456789', contentRange: 'bytes 4-9/10' },
  { header: 'bytes=-3', status: 206, body: '789', contentRange: 'bytes 7-9/10' },
  { header: 'bytes=9-9', status: 206, body: '9', contentRange: 'bytes 9-9/10' },
  { header: 'bytes=8-100', status: 206, body: '89', contentRange: 'bytes 8-9/10' },
  { header: 'bytes=-100', status: 206, body: '0123456789', contentRange: 'bytes 0-9/10' },
  { header: 'items=0-3', status: 200, body: '0123456789' },
  { header: 'bytes=10-', status: 416, contentRange: 'bytes */10' },
  { header: 'bytes=10-20', status: 416, contentRange: 'bytes */10' },
  { header: 'bytes=5-2', status: 416, contentRange: 'bytes */10' },
];

const rangeCases = ranges.map(({ header, status, body, contentRange }): ConformanceCase => ({
  id: `range-${header}`,
  section: RANGE,
  level: 'SHOULD',
  title: `Range: ${header} of ten bytes is a ${String(status)}`,
  run: async (target) => {
    const answer = await target.send('GET', await pushed(target), { headers: { Range: header } });
    wantStatus(answer, status);
    if (body !== undefined) equal(answer.body.toString(), body);
    if (contentRange !== undefined) equal(answer.headers['content-range'], contentRange);
  },
}));

const moreRanges: readonly ConformanceCase[] = [
  {
    id: 'range-accepted',
    section: RANGE,
    level: 'SHOULD',
    title: 'a blob says Accept-Ranges: bytes',
    run: async (target) => {
      match((await target.send('GET', await pushed(target))).headers['accept-ranges'] ?? '', /bytes/);
    },
  },
  {
    id: 'range-if-range',
    section: RANGE,
    level: 'SHOULD',
    title: 'a Range for another version (If-Range) gets all',
    run: async (target) => {
      const headers = { Range: 'bytes=0-3', 'If-Range': '"another"' };
      wantStatus(await target.send('GET', await pushed(target), { headers }), 200);
    },
  },
];

const deletions: readonly ConformanceCase[] = [
  {
    id: 'blob-delete',
    section: DELETE,
    level: 'MUST',
    title: 'DELETE is a 202, and the blob gone',
    run: async (target) => {
      const path = await pushed(target);
      wantStatus(await target.send('DELETE', path), 202);
      for (const method of ['GET', 'HEAD']) wantStatus(await target.send(method, path), 404);
    },
  },
  {
    id: 'blob-delete-missing',
    section: DELETE,
    level: 'MUST',
    title: "DELETE of a blob that isn't there is a 404 with BLOB_UNKNOWN",
    run: async (target) => {
      const name = target.freshName();
      await target.pushBlob(name, text);
      wantError(await target.send('DELETE', `/v2/${name}/blobs/${missing}`), 404, 'BLOB_UNKNOWN');
    },
  },
  {
    id: 'blob-delete-missing-repository',
    section: DELETE,
    level: 'MUST',
    title: "DELETE of a blob of a repository that isn't there is a 404",
    run: async (target) => wantStatus(await target.send('DELETE', `/v2/${target.freshName()}/blobs/${missing}`), 404),
  },
  {
    id: 'blob-delete-twice',
    section: DELETE,
    level: 'MUST',
    title: 'DELETE a second time is a 404',
    run: async (target) => {
      const path = await pushed(target);
      await target.send('DELETE', path);
      wantStatus(await target.send('DELETE', path), 404);
    },
  },
  {
    id: 'blob-delete-here-only',
    section: DELETE,
    level: 'MUST',
    title: 'DELETE in one repository leaves the blob of another one',
    run: async (target) => {
      const [path, other] = [await pushed(target), await pushed(target)];
      await target.send('DELETE', path);
      wantStatus(await target.send('GET', other), 200);
    },
  },
  {
    id: 'blob-delete-and-again',
    section: DELETE,
    level: 'MUST',
    title: 'a deleted blob can be pushed again',
    run: async (target) => {
      const name = target.freshName();
      const path = `/v2/${name}/blobs/${await target.pushBlob(name, text)}`;
      await target.send('DELETE', path);
      await target.pushBlob(name, text);
      wantStatus(await target.send('GET', path), 200);
    },
  },
];

export const blobCases: readonly ConformanceCase[] = [...reads, ...rangeCases, ...moreRanges, ...deletions];
