import { equal, match, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { ConformanceCase } from './case.ts';
import { digestOf, locationOf, OCTETS, wantError, wantStatus, withQuery } from './case.ts';
import { begun, bytes, digest, finish, FIRST, patch, SECOND, wantPullable } from './upload-steps.ts';

const MONOLITHIC = 'Pushing a blob monolithically';
const CHUNKED = 'Pushing a blob in chunks';
const MOUNT = 'Mounting a blob from another repository';
const CANCEL = 'Cancel a blob upload';
const monolithic: readonly ConformanceCase[] = [
  {
    id: 'upload-start',
    section: MONOLITHIC,
    level: 'MUST',
    title: 'POST is a 202 with a Location',
    run: async (target) => {
      ok((await target.start(target.freshName())).includes('/'));
    },
  },
  {
    id: 'upload-start-unique',
    section: MONOLITHIC,
    level: 'MUST',
    title: 'each session has a UUID of its own',
    run: async (target) => {
      const name = target.freshName();
      const [one, other] = [await target.start(name), await target.start(name)];
      match(one, /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i);
      ok(one !== other);
    },
  },
  {
    id: 'upload-put',
    section: MONOLITHIC,
    level: 'MUST',
    title: 'POST, then PUT with the body, is a 201 whose Location can be pulled',
    run: async (target) =>
      wantPullable(target, await finish(target, await target.start(target.freshName()), { body: bytes })),
  },
  {
    id: 'upload-post',
    section: MONOLITHIC,
    level: 'MAY',
    title: 'a single POST with digest and body is a 201 whose Location can be pulled',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?digest=${digest}`;
      await wantPullable(target, await target.send('POST', path, { body: bytes, headers: { 'Content-Type': OCTETS } }));
    },
  },
  {
    id: 'upload-post-wrong',
    section: MONOLITHIC,
    level: 'SHOULD',
    title: 'a single POST with another digest is a 400 with DIGEST_INVALID',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?digest=${digestOf('else')}`;
      wantError(await target.send('POST', path, { body: bytes }), 400, 'DIGEST_INVALID');
    },
  },
  {
    id: 'upload-put-wrong',
    section: MONOLITHIC,
    level: 'SHOULD',
    title: 'PUT with another digest is a 400 with DIGEST_INVALID, and nothing is stored',
    run: async (target) => {
      const name = target.freshName();
      const wrong = digestOf('else');
      wantError(await finish(target, await target.start(name), { digest: wrong, body: bytes }), 400, 'DIGEST_INVALID');
      wantStatus(await target.send('HEAD', `/v2/${name}/blobs/${wrong}`), 404);
      wantStatus(await target.send('HEAD', `/v2/${name}/blobs/${digest}`), 404);
    },
  },
  ...['sha256:abc', 'sha256', 'md5:d41d8cd98f00b204e9800998ecf8427e', `sha256:${'A'.repeat(64)}`, ''].map(
    (bad): ConformanceCase => ({
      id: `upload-put-bad-${bad.slice(0, 12)}`,
      section: 'Pushing blobs',
      level: 'SHOULD',
      title: `PUT with the digest ${JSON.stringify(bad.slice(0, 20))} is a 400 with DIGEST_INVALID`,
      run: async (target) =>
        wantError(
          await finish(target, await target.start(target.freshName()), { digest: bad, body: bytes }),
          400,
          'DIGEST_INVALID',
        ),
    }),
  ),
  {
    id: 'upload-empty',
    section: MONOLITHIC,
    level: 'MUST',
    title: 'an empty blob',
    run: async (target) => {
      const answer = await finish(target, await target.start(target.freshName()), { digest: digestOf('') });
      await wantPullable(target, answer, Buffer.alloc(0));
    },
  },
  {
    id: 'upload-again',
    section: MONOLITHIC,
    level: 'MUST',
    title: 'the same blob again is a 201',
    run: async (target) => {
      const name = target.freshName();
      await target.pushBlob(name, bytes);
      await wantPullable(target, await finish(target, await target.start(name), { body: bytes }));
    },
  },
];

const chunked: readonly ConformanceCase[] = [
  {
    id: 'chunk-accepted',
    section: CHUNKED,
    level: 'MUST',
    title: 'PATCH is a 202 with Location and Range',
    run: async (target) => {
      const answer = await patch(target, await target.start(target.freshName()), { body: FIRST, range: '0-10' });
      wantStatus(answer, 202);
      locationOf(answer);
      equal(answer.headers.range, '0-10');
    },
  },
  {
    id: 'chunk-two',
    section: CHUNKED,
    level: 'MUST',
    title: 'two chunks, and PUT without a body',
    run: async (target) => {
      const answer = await patch(target, await begun(target), { body: SECOND, range: '11-24' });
      equal(answer.headers.range, '0-24');
      await wantPullable(target, await finish(target, locationOf(answer)));
    },
  },
  {
    id: 'chunk-last-in-put',
    section: CHUNKED,
    level: 'MUST',
    title: 'the last chunk with the PUT',
    run: async (target) => {
      const path = withQuery(await begun(target), `digest=${digest}`);
      const headers = { 'Content-Type': OCTETS, 'Content-Range': '11-24' };
      await wantPullable(target, await target.send('PUT', path, { headers, body: SECOND }));
    },
  },
  {
    id: 'chunk-last-in-put-out-of-order',
    section: CHUNKED,
    level: 'MUST',
    title: 'a last chunk out of order is a 416',
    run: async (target) => {
      const path = withQuery(await begun(target), `digest=${digest}`);
      const headers = { 'Content-Type': OCTETS, 'Content-Range': '0-13' };
      wantStatus(await target.send('PUT', path, { headers, body: SECOND }), 416);
    },
  },
  ...[
    { id: 'gap', range: '12-25', title: 'a chunk behind a gap' },
    { id: 'twice', range: '0-10', title: 'a chunk sent twice' },
    { id: 'overlap', range: '5-18', title: 'a chunk that overlaps' },
  ].map(({ id, range, title }): ConformanceCase => ({
    id: `chunk-${id}`,
    section: CHUNKED,
    level: 'MUST',
    title: `${title} is a 416, and the upload can go on`,
    run: async (target) => {
      const location = await begun(target);
      const body = id === 'twice' ? FIRST : SECOND;
      wantStatus(await patch(target, location, { body, range }), 416);
      const status = await target.send('GET', location);
      equal(status.headers.range, '0-10');
      const second = await patch(target, locationOf(status), { body: SECOND, range: '11-24' });
      await wantPullable(target, await finish(target, locationOf(second)));
    },
  })),
  {
    id: 'chunk-first-not-at-zero',
    section: CHUNKED,
    level: 'MUST',
    title: "a first chunk that doesn't begin at 0 is a 416",
    run: async (target) =>
      wantStatus(await patch(target, await target.start(target.freshName()), { body: FIRST, range: '1-11' }), 416),
  },
  {
    id: 'chunk-416-tells',
    section: CHUNKED,
    level: 'OURS',
    title: 'a 416 says by Range and Location where to go on',
    run: async (target) => {
      const answer = await patch(target, await begun(target), { body: SECOND, range: '12-25' });
      equal(answer.headers.range, '0-10');
      locationOf(answer);
    },
  },
  {
    id: 'chunk-range-malformed',
    section: CHUNKED,
    level: 'MUST',
    title: 'a malformed Content-Range is refused',
    run: async (target) =>
      wantStatus(await patch(target, await begun(target), { body: SECOND, range: 'eleven-24' }), 400, 416),
  },
  {
    id: 'chunk-range-length',
    section: CHUNKED,
    level: 'OURS',
    title: 'a Content-Range of another length than Content-Length is refused with SIZE_INVALID',
    run: async (target) =>
      wantError(await patch(target, await begun(target), { body: SECOND, range: '11-30' }), 400, 'SIZE_INVALID'),
  },
  {
    id: 'chunk-streamed',
    section: 'Docker Registry HTTP API V2',
    level: 'MAY',
    title: 'a streamed PATCH without Content-Range and Content-Length',
    run: async (target) => {
      const location = await target.start(target.freshName());
      const headers = { 'Content-Type': OCTETS };
      const answer = await target.send('PATCH', location, { headers, body: [FIRST, SECOND] });
      wantStatus(answer, 202);
      await wantPullable(target, await finish(target, locationOf(answer)));
    },
  },
  {
    id: 'chunk-wrong-digest',
    section: CHUNKED,
    level: 'SHOULD',
    title: 'PUT with a digest that is not of all chunks is a 400',
    run: async (target) => wantError(await finish(target, await begun(target)), 400, 'DIGEST_INVALID'),
  },
  {
    id: 'upload-status',
    section: CHUNKED,
    level: 'MUST',
    title: 'GET of an upload is a 204 with Location and Range',
    run: async (target) => {
      const answer = await target.send('GET', await begun(target));
      wantStatus(answer, 204);
      locationOf(answer);
      equal(answer.headers.range, '0-10');
    },
  },
  {
    id: 'upload-status-finished',
    section: CHUNKED,
    level: 'MUST',
    title: 'the status of a finished upload is a 404 with BLOB_UPLOAD_UNKNOWN',
    run: async (target) => {
      const location = await target.start(target.freshName());
      await finish(target, location, { body: bytes });
      wantError(await target.send('GET', location), 404, 'BLOB_UPLOAD_UNKNOWN');
    },
  },
  ...(['GET', 'PATCH', 'PUT', 'DELETE'] as const).map((method): ConformanceCase => ({
    id: `upload-unknown-${method}`,
    section: 'Endpoints',
    level: 'MUST',
    title: `${method} of a cancelled upload is a 404 with BLOB_UPLOAD_UNKNOWN`,
    run: async (target) => {
      const location = await target.start(target.freshName());
      await target.send('DELETE', location);
      const path = method === 'PUT' ? withQuery(location, `digest=${digest}`) : location;
      wantError(await target.send(method, path), 404, 'BLOB_UPLOAD_UNKNOWN');
    },
  })),
  {
    id: 'upload-other-repository',
    section: CHUNKED,
    level: 'OURS',
    title: "an upload of one repository can't be continued in another one",
    run: async (target) => {
      const [name, other] = [target.freshName(), target.freshName()];
      const location = (await target.start(name)).replace(name, other);
      wantStatus(await patch(target, location, { body: FIRST, range: '0-10' }), 404);
    },
  },
  {
    id: 'upload-cancel',
    section: CANCEL,
    level: 'SHOULD',
    title: 'DELETE is a 204, and the upload gone',
    run: async (target) => {
      const location = await begun(target);
      wantStatus(await target.send('DELETE', location), 204);
      wantStatus(await target.send('GET', location), 404);
    },
  },
];

const sha512: readonly ConformanceCase[] = [
  {
    id: 'sha512-put',
    section: 'Pushing blobs',
    level: 'MAY',
    title: 'sha512, begun with digest-algorithm',
    run: async (target) => {
      const location = await target.start(target.freshName(), '?digest-algorithm=sha512');
      await wantPullable(target, await finish(target, location, { digest: digestOf(bytes, 'sha512'), body: bytes }));
    },
  },
  {
    id: 'sha512-chunks',
    section: CHUNKED,
    level: 'MAY',
    title: 'sha512 in chunks',
    run: async (target) => {
      const location = await target.start(target.freshName(), '?digest-algorithm=sha512');
      const first = await patch(target, location, { body: FIRST, range: '0-10' });
      const second = await patch(target, locationOf(first), { body: SECOND, range: '11-24' });
      await wantPullable(target, await finish(target, locationOf(second), { digest: digestOf(bytes, 'sha512') }));
    },
  },
  {
    id: 'sha512-post',
    section: MONOLITHIC,
    level: 'MAY',
    title: 'sha512 by a single POST',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?digest=${digestOf(bytes, 'sha512')}`;
      await wantPullable(target, await target.send('POST', path, { body: bytes }));
    },
  },
  {
    id: 'sha512-late',
    section: MONOLITHIC,
    level: 'OURS',
    title: 'sha512 of an upload that was begun without saying so',
    run: async (target) => {
      const location = await target.start(target.freshName());
      await wantPullable(target, await finish(target, location, { digest: digestOf(bytes, 'sha512'), body: bytes }));
    },
  },
  {
    id: 'algorithm-unknown',
    section: 'Pushing blobs',
    level: 'SHOULD',
    title: 'digest-algorithm=md5 is a 400',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?digest-algorithm=md5`;
      wantError(await target.send('POST', path), 400, 'DIGEST_INVALID');
    },
  },
];

const mounts: readonly ConformanceCase[] = [
  {
    id: 'mount',
    section: MOUNT,
    level: 'MUST',
    title: 'a mount is a 201 whose Location can be pulled',
    run: async (target) => {
      const [from, to] = [target.freshName(), target.freshName()];
      const content = randomBytes(50);
      const mounted = await target.pushBlob(from, content);
      const answer = await target.send('POST', `/v2/${to}/blobs/uploads/?mount=${mounted}&from=${from}`);
      await wantPullable(target, answer, content);
      match(locationOf(answer), new RegExp(to));
    },
  },
  {
    id: 'mount-missing',
    section: MOUNT,
    level: 'SHOULD',
    title: 'a mount of what the other repository has not is a 202 that goes on as an upload',
    run: async (target) => {
      const [from, to] = [target.freshName(), target.freshName()];
      const answer = await target.send('POST', `/v2/${to}/blobs/uploads/?mount=${digest}&from=${from}`);
      wantStatus(answer, 202);
      await wantPullable(target, await finish(target, locationOf(answer), { body: bytes }));
    },
  },
  {
    id: 'mount-anywhere',
    section: MOUNT,
    level: 'MAY',
    title: 'a mount without from finds the blob',
    run: async (target) => {
      const content = randomBytes(50);
      const mounted = await target.pushBlob(target.freshName(), content);
      const path = `/v2/${target.freshName()}/blobs/uploads/?mount=${mounted}`;
      await wantPullable(target, await target.send('POST', path), content);
    },
  },
  {
    id: 'mount-bad-digest',
    section: MOUNT,
    level: 'OURS',
    title: 'a mount of a malformed digest is a 400 with DIGEST_INVALID',
    run: async (target) => {
      const path = `/v2/${target.freshName()}/blobs/uploads/?mount=sha256:x&from=a`;
      wantError(await target.send('POST', path), 400, 'DIGEST_INVALID');
    },
  },
];

export const uploadCases: readonly ConformanceCase[] = [...monolithic, ...chunked, ...sha512, ...mounts];
