import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { ConformanceCase } from './case.ts';
import { digestOf, locationOf, OCTETS, wantError, wantStatus, withQuery } from './case.ts';
import { begun, bytes, digest, finish, FIRST, patch, SECOND, wantPullable } from './upload-steps.ts';

const PUSH = 'Pushing blobs';
const MONOLITHIC = 'Pushing a blob monolithically';
const CHUNKED = 'Pushing a blob in chunks';

/** What an upload goes through beside the plain ways to push. */
export const uploadSessionCases: readonly ConformanceCase[] = [
  {
    id: 'upload-digest-header',
    section: 'RFC 9110, 8',
    level: 'OURS',
    title: 'the answer to a finished upload names the digest that was asked for',
    run: async (target) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const wanted = digestOf(bytes, algorithm);
        const location = await target.start(target.freshName(), `?digest-algorithm=${algorithm}`);
        const { headers } = await finish(target, location, { digest: wanted, body: bytes });
        equal(headers['docker-content-digest'], wanted);
      }
    },
  },
  {
    id: 'upload-put-streamed',
    section: 'RFC 9112, 7.1',
    level: 'MUST',
    title: 'a PUT whose body is streamed without a length',
    run: async (target) => {
      const location = await target.start(target.freshName());
      const sent = { headers: { 'Content-Type': OCTETS }, body: [FIRST, SECOND] };
      await wantPullable(target, await target.send('PUT', withQuery(location, `digest=${digest}`), sent));
    },
  },
  {
    id: 'upload-put-no-digest',
    section: CHUNKED,
    level: 'MUST',
    title: 'a closing PUT without a digest is a 400, and the upload can still be closed',
    run: async (target) => {
      const location = await target.start(target.freshName());
      const first = await patch(target, location, { body: bytes, range: '0-24' });
      wantError(await target.send('PUT', locationOf(first)), 400, 'DIGEST_INVALID');
      await wantPullable(target, await finish(target, locationOf(first)));
    },
  },
  {
    id: 'upload-post-bad-digest',
    section: PUSH,
    level: 'SHOULD',
    title: 'a single POST with a malformed digest is a 400 with DIGEST_INVALID',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?digest=sha256:abc`;
      wantError(await target.send('POST', path, { body: bytes }), 400, 'DIGEST_INVALID');
    },
  },
  {
    id: 'chunk-bad-digest',
    section: PUSH,
    level: 'SHOULD',
    title: 'chunks that are closed with a malformed digest are a 400 with DIGEST_INVALID',
    run: async (target) =>
      wantError(await finish(target, await begun(target), { digest: 'sha256:abc' }), 400, 'DIGEST_INVALID'),
  },
  {
    id: 'upload-again-other-algorithm',
    section: PUSH,
    level: 'OURS',
    title: 'one content is pullable by its sha256 and by its sha512',
    run: async (target) => {
      const name = target.freshName();
      const content = randomBytes(40);
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const wanted = await target.pushBlob(name, content, algorithm);
        const answer = await target.send('GET', `/v2/${name}/blobs/${wanted}`);
        deepEqual(answer.body, content);
        equal(answer.headers['docker-content-digest'], wanted);
      }
    },
  },
  {
    id: 'upload-at-once',
    section: 'Layer Upload De-duplication',
    level: 'MUST',
    title: 'two pushes of one blob at the same time both succeed',
    run: async (target) => {
      const name = target.freshName();
      const content = randomBytes(5000);
      const wanted = digestOf(content);
      const locations = await Promise.all([target.start(name), target.start(name)]);
      const answers = await Promise.all(
        locations.map((location) => finish(target, location, { digest: wanted, body: content })),
      );
      for (const answer of answers) await wantPullable(target, answer, content);
    },
  },
  {
    id: 'upload-put-twice',
    section: 'Endpoints',
    level: 'MUST',
    title: 'an upload that is closed is a 404 for whom closes it again',
    run: async (target) => {
      const location = await target.start(target.freshName());
      wantStatus(await finish(target, location, { body: bytes }), 201);
      wantError(await finish(target, location, { body: bytes }), 404, 'BLOB_UPLOAD_UNKNOWN');
    },
  },
  {
    id: 'upload-status-new',
    section: CHUNKED,
    level: 'MUST',
    title: 'GET of an upload that nothing arrived for is a 204 with Location and Range',
    run: async (target) => {
      const answer = await target.send('GET', await target.start(target.freshName()));
      wantStatus(answer, 204);
      locationOf(answer);
      match(answer.headers.range ?? '', /^(bytes=)?0-(0|-1)$/);
    },
  },
  {
    id: 'upload-status-416',
    section: CHUNKED,
    level: 'MUST',
    title: 'after a 416 of the closing PUT, GET says where to go on, and it goes on',
    run: async (target) => {
      const location = await begun(target);
      const headers = { 'Content-Type': OCTETS, 'Content-Range': '20-33' };
      const path = withQuery(location, `digest=${digest}`);
      wantStatus(await target.send('PUT', path, { headers, body: SECOND }), 416);
      const status = await target.send('GET', location);
      wantStatus(status, 204);
      equal(status.headers.range, '0-10');
      const again = { ...headers, 'Content-Range': '11-24' };
      const rest = withQuery(locationOf(status), `digest=${digest}`);
      await wantPullable(target, await target.send('PUT', rest, { headers: again, body: SECOND }));
    },
  },
  {
    id: 'chunk-single-bytes',
    section: CHUNKED,
    level: 'MUST',
    title: 'chunks of one byte each, where 0-0 is a byte and not the absence of one',
    run: async (target) => {
      const content = Buffer.from('abc');
      let location = await target.start(target.freshName());
      for (const [at] of content.entries()) {
        const range = `${String(at)}-${String(at)}`;
        const answer = await patch(target, location, { body: content.subarray(at, at + 1), range });
        wantStatus(answer, 202);
        equal(answer.headers.range, `0-${String(at)}`);
        location = locationOf(answer);
      }
      await wantPullable(target, await finish(target, location, { digest: digestOf(content) }), content);
    },
  },
  {
    id: 'chunk-first-twice',
    section: CHUNKED,
    level: 'MUST',
    title: 'a single byte that is sent twice is a 416',
    run: async (target) => {
      const location = await target.start(target.freshName());
      const chunk = { body: FIRST.subarray(0, 1), range: '0-0' };
      const first = await patch(target, location, chunk);
      wantStatus(first, 202);
      wantStatus(await patch(target, locationOf(first), chunk), 416);
    },
  },
  {
    id: 'chunk-min-length',
    section: CHUNKED,
    level: 'SHOULD',
    title: 'chunks of the OCI-Chunk-Min-Length, or where there is none of any length, are taken',
    run: async (target) => {
      const started = await target.send('POST', `/v2/${target.freshName()}/blobs/uploads/`);
      const least = Number(started.headers['oci-chunk-min-length'] ?? '7');
      ok(Number.isSafeInteger(least) && least > 0, 'OCI-Chunk-Min-Length is no size');
      const content = randomBytes(least * 2 + 1);
      let location = locationOf(started);
      for (let at = 0; at < content.byteLength; at += least) {
        const body = content.subarray(at, at + least);
        const answer = await patch(target, location, { body, range: `${String(at)}-${String(at + body.length - 1)}` });
        wantStatus(answer, 202);
        location = locationOf(answer);
      }
      await wantPullable(target, await finish(target, location, { digest: digestOf(content) }), content);
    },
  },
  {
    id: 'chunk-then-stream',
    section: 'Docker Registry HTTP API V2',
    level: 'MAY',
    title: 'a chunk that says its range, then one that does not',
    run: async (target) => {
      const answer = await target.send('PATCH', await begun(target), {
        headers: { 'Content-Type': OCTETS },
        body: [SECOND],
      });
      wantStatus(answer, 202);
      equal(answer.headers.range, '0-24');
      await wantPullable(target, await finish(target, locationOf(answer)));
    },
  },
  {
    id: 'upload-cancel-finished',
    section: 'Endpoints',
    level: 'MUST',
    title: 'an upload that is closed can not be cancelled any more: a 404, and the blob stays',
    run: async (target) => {
      const location = await target.start(target.freshName());
      const finished = await finish(target, location, { body: bytes });
      wantError(await target.send('DELETE', location), 404, 'BLOB_UPLOAD_UNKNOWN');
      await wantPullable(target, finished);
    },
  },
  {
    id: 'mount-missing-repository',
    section: 'Mounting a blob from another repository',
    level: 'SHOULD',
    title: "a mount from a repository that isn't there is a 202",
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?mount=${digest}&from=${target.freshName()}`;
      wantStatus(await target.send('POST', path), 202);
    },
  },
  {
    id: 'mount-nowhere',
    section: 'Mounting a blob from another repository',
    level: 'SHOULD',
    title: 'a mount without from of what nobody has is a 202',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?mount=${digestOf(randomBytes(20))}`;
      wantStatus(await target.send('POST', path), 202);
    },
  },
  {
    id: 'mount-sha512',
    section: 'Mounting a blob from another repository',
    level: 'MUST',
    title: 'a mount by sha512',
    run: async (target) => {
      const from = target.freshName();
      const content = randomBytes(30);
      const wanted = await target.pushBlob(from, content, 'sha512');
      const path = `/v2/${target.freshName()}/blobs/uploads/?mount=${wanted}&from=${from}`;
      await wantPullable(target, await target.send('POST', path), content);
    },
  },
  {
    id: 'upload-post-sets-length',
    section: MONOLITHIC,
    level: 'MUST',
    title: 'a POST that begins an upload needs no body and no length',
    run: async (target) => {
      const answer = await target.send('POST', `/v2/${target.freshName()}/blobs/uploads/`, { body: [] });
      wantStatus(answer, 202);
      await wantPullable(target, await finish(target, locationOf(answer), { body: bytes }));
    },
  },
];
