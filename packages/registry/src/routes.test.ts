import { describe, expect, test } from '@jest/globals';
import { isRegistryError } from './errors.ts';
import { parseRoute } from './routes.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const digest512 = `sha512:${'b'.repeat(128)}`;

describe('parseRoute', () => {
  test.each([
    ['GET', '/v2', { type: 'version' }],
    ['GET', '/v2/', { type: 'version' }],
    ['GET', `/v2/a/b/c/blobs/${digest}`, { type: 'blob-read', head: false, name: 'a/b/c', digest }],
    ['HEAD', `/v2/a/blobs/${digest512}`, { type: 'blob-read', head: true, digest: digest512 }],
    ['DELETE', `/v2/a/blobs/${digest}`, { type: 'blob-delete' }],
    ['GET', '/v2/a/manifests/V1.0', { type: 'manifest-read', reference: { type: 'tag', tag: 'V1.0' } }],
    ['HEAD', `/v2/a/manifests/${digest}`, { type: 'manifest-read', head: true, reference: { type: 'digest', digest } }],
    ['PUT', '/v2/a/manifests/latest', { type: 'manifest-write', tags: [] }],
    ['PUT', `/v2/a/manifests/${digest}?tag=x&tag=y&tag=x`, { type: 'manifest-write', tags: ['x', 'y'] }],
    ['DELETE', '/v2/a/manifests/x', { type: 'manifest-delete' }],
    ['POST', '/v2/a/blobs/uploads/', { type: 'upload-start', name: 'a', algorithm: 'sha256' }],
    ['POST', '/v2/a/blobs/uploads', { type: 'upload-start' }],
    ['POST', '/v2/a/blobs/uploads/?digest-algorithm=sha512', { type: 'upload-start', algorithm: 'sha512' }],
    ['POST', `/v2/a/blobs/uploads/?digest=${digest}`, { type: 'upload-whole', digest }],
    ['POST', `/v2/a/blobs/uploads/?mount=${digest}&from=b/c`, { type: 'mount', digest, from: 'b/c' }],
    ['POST', `/v2/a/blobs/uploads/?mount=${digest}`, { type: 'mount', from: undefined }],
    ['PATCH', '/v2/a/blobs/uploads/u-1_X', { type: 'upload-chunk', upload: 'u-1_X' }],
    ['PUT', `/v2/a/blobs/uploads/u?digest=${digest}`, { type: 'upload-finish', digest }],
    ['GET', '/v2/a/blobs/uploads/u', { type: 'upload-status', head: false }],
    ['DELETE', '/v2/a/blobs/uploads/u', { type: 'upload-cancel' }],
    ['GET', '/v2/a/tags/list?n=10&last=v1', { type: 'tags', page: { limit: 10, after: 'v1' } }],
    ['GET', `/v2/a/referrers/${digest}?artifactType=x%2Fy`, { type: 'referrers', artifactType: 'x/y' }],
    ['GET', '/v2/_catalog?n=5', { type: 'catalog', page: { limit: 5, after: undefined } }],
    ['GET', '/v2/blobs/manifests/tags/manifests/blobs', { type: 'manifest-read', name: 'blobs/manifests/tags' }],
    ['GET', `/v2/a/blobs/sha256%3A${'a'.repeat(64)}`, { type: 'blob-read', digest }],
  ])('%s %s', (method, url, route) => {
    expect(parseRoute(method, url)).toMatchObject(route);
  });

  test.each([
    ['GET', '/', 404, 'NAME_UNKNOWN'],
    ['GET', '/v1/a/manifests/x', 404, 'NAME_UNKNOWN'],
    ['GET', '/v2/a', 404, 'NAME_UNKNOWN'],
    ['GET', '/v2/A/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2//tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/a/../b/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/%2e%2e/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/a%2fb/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/%252e%252e/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/a%00/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/%ff/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/a/manifests/..%5c..', 400, 'NAME_INVALID'],
    ['GET', '/v2/a/manifests/..', 404, 'MANIFEST_UNKNOWN'],
    ['HEAD', '/v2/a/manifests/.b', 404, 'MANIFEST_UNKNOWN'],
    ['DELETE', '/v2/a/manifests/.b', 404, 'MANIFEST_UNKNOWN'],
    ['PUT', '/v2/a/manifests/.b', 400, 'MANIFEST_INVALID'],
    ['GET', '/v2/a/manifests/sha256:abc', 400, 'DIGEST_INVALID'],
    ['GET', `/v2/a/blobs/md5:${'a'.repeat(32)}`, 400, 'DIGEST_INVALID'],
    ['GET', `/v2/a/blobs/sha256:${'A'.repeat(64)}`, 400, 'DIGEST_INVALID'],
    ['PUT', '/v2/a/manifests/x?tag=y', 400, 'MANIFEST_INVALID'],
    ['PUT', `/v2/a/manifests/${digest}?tag=../y`, 400, 'MANIFEST_INVALID'],
    ['PUT', '/v2/a/blobs/uploads/u', 400, 'DIGEST_INVALID'],
    ['PATCH', '/v2/a/blobs/uploads/..', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['POST', '/v2/a/blobs/uploads/?digest-algorithm=md5', 400, 'DIGEST_INVALID'],
    ['POST', `/v2/a/blobs/uploads/?mount=${digest}&from=../x`, 400, 'NAME_INVALID'],
    ['GET', '/v2/a/tags/list?n=-1', 400, 'UNSUPPORTED'],
    ['POST', '/v2/a/tags/list', 405, 'UNSUPPORTED'],
    ['constructor', '/v2/a/tags/list', 405, 'UNSUPPORTED'],
    ['GET', `/v2/${'a/'.repeat(5000)}tags/list`, 414, 'NAME_INVALID'],
  ])('refuses %s %s with %i', (method, url, ...[status, code]) => {
    const error = parseRoute(method, url);
    expect(isRegistryError(error)).toBe(true);
    expect(error).toMatchObject({ status, code });
  });

  test('says which methods an endpoint has', () => {
    expect(parseRoute('PUT', `/v2/a/blobs/${digest}`)).toMatchObject({ headers: { Allow: 'GET, HEAD, DELETE' } });
  });
});
