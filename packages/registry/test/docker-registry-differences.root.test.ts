import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { conformanceCases, openConformanceTarget } from '../src/testing.ts';
import type { ConformanceTarget } from '../src/testing.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import type { DockerRegistry } from '../../image/test/docker-registry.ts';
import { describeRoot } from '../../../test/root.ts';

const unsorted = 'it gives all tags in the order of its directory, and knows neither n nor last';
const cleaned = 'its router redirects to a path without dots';
const noEndpoint = 'its router finds no endpoint, and answers with a 404 in plain text';
const failure = 'it answers with a 500';
const badRange = 'it promises the whole length, then breaks off';
const anyRange = 'it adds chunks in the order of their arrival, whatever Content-Range says';
const referrers = 'it knows neither subject nor referrers';
const tagDeletion = 'it deletes manifests only, and takes a tag for a wrong digest';
const canonical = 'it keeps the sha256 of everything, and names that';
const conditions = 'it ignores the conditions of a push';
const accept = 'it finds an OCI manifest only for an Accept that names its type';

/** What Debian's registry (2.8) does otherwise, by the id of the case. */
const differences: Readonly<Record<string, string>> = {
  tags: unsorted,
  'tags?n=2': unsorted,
  'tags?n=2&last=9': unsorted,
  'tags?n=2&last=b': unsorted,
  'tags?n=100': unsorted,
  'tags?last=A': unsorted,
  'tags?last=AA': unsorted,
  'tags?last=c': unsorted,
  'tags?n=0': unsorted,
  'tags-link': unsorted,
  'tags-n-exact': unsorted,
  'tags-n-0-last': unsorted,
  'head-tags': 'it answers GET only, with a 405 for HEAD',
  'head-referrers': referrers,
  'tags-none': 'it knows a repository by its tags',
  'tags-deleted': tagDeletion,
  'tags-last-deleted': tagDeletion,
  'tags-n--1': unsorted,
  'tags-n-many': unsorted,
  'tags-n-1.5': unsorted,
  'tags-n-99999999999999999999': unsorted,
  'path-a-digest-that-is-a-path': cleaned,
  'path-a-name-of-dots': cleaned,
  'path-a-name-of-encoded-dots': cleaned,
  'path-an-encoded-slash': cleaned,
  'path-a-name-in-capitals': noEndpoint,
  'path-a-name-of-dots-encoded-twice': noEndpoint,
  'path-an-encoded-NUL': noEndpoint,
  'path-a-broken-encoding': 'net/http refuses it before the registry sees it, in plain text',
  'path-a-malformed-digest-of-a-manifest': failure,
  'digest-malformed-put': failure,
  'digest-malformed-get': failure,
  'path-a-name-that-is-too-long': failure,
  'manifest-put-schema-version-1': failure,
  'manifest-put-foreign-oci': failure,
  'range-items=0-3': badRange,
  'range-bytes=10-': badRange,
  'range-bytes=10-20': badRange,
  'range-bytes=5-2': badRange,
  'upload-post': 'it begins an upload, which the specification allows too',
  'upload-post-wrong': 'it begins an upload, which the specification allows too',
  'upload-post-bad-digest': 'it begins an upload, which the specification allows too',
  'sha512-post': 'it begins an upload, which the specification allows too',
  'chunk-last-in-put-out-of-order': anyRange,
  'chunk-gap': anyRange,
  'chunk-twice': anyRange,
  'chunk-overlap': anyRange,
  'chunk-first-not-at-zero': anyRange,
  'chunk-416-tells': anyRange,
  'chunk-first-twice': anyRange,
  'upload-status-416': anyRange,
  'chunk-range-malformed': anyRange,
  'chunk-range-length': anyRange,
  'algorithm-unknown': 'it ignores digest-algorithm, which came after it',
  'upload-digest-header': canonical,
  'upload-again-other-algorithm': canonical,
  'mount-sha512': canonical,
  'mount-anywhere': 'it mounts only with from, and begins an upload, which the specification allows too',
  'mount-bad-digest': 'it begins an upload instead of naming the mistake',
  'manifest-accept-none': accept,
  'manifest-accept-*/*': accept,
  'tag-delete': tagDeletion,
  'tag-delete-missing': tagDeletion,
  'manifest-put-unknown-type': 'it takes only the types that it knows',
  'manifest-put-too-large': 'it refuses it as invalid, with a 400',
  'manifest-put-no-config': 'it names the empty digest instead',
  'manifest-put-sha512': 'it compares with the sha256',
  'content-sha512-tags': 'it compares with the sha256',
  'manifest-put-tags': 'it ignores tag=, which came after it',
  'content-tags-many': 'it ignores tag=, which came after it',
  'content-delete-twice': tagDeletion,
  'delete-if-match': tagDeletion,
  'delete-if-match-any': tagDeletion,
  'delete-if-match-several': tagDeletion,
  'delete-if-match-other': tagDeletion,
  'delete-if-match-weak': tagDeletion,
  'delete-if-none-match': tagDeletion,
  'delete-if-none-match-any': tagDeletion,
  'delete-if-none-match-other': tagDeletion,
  'push-if-match-other': conditions,
  'push-if-match-weak': conditions,
  'push-if-none-match': conditions,
  'push-if-none-match-any': conditions,
  'push-if-match-new': conditions,
  'push-if-none-match-race': conditions,
  'subject-header': referrers,
  'subject-missing': referrers,
  'referrers-list': referrers,
  'referrers-artifact-type': referrers,
  'referrers-config-type': referrers,
  'referrers-index': referrers,
  'referrers-none': referrers,
  'referrers-filter': referrers,
  'referrers-no-filter': referrers,
  'referrers-bad-digest': referrers,
  'referrers-deleted': referrers,
  'referrers-subject-deleted': referrers,
  'subject-header-index': referrers,
  'subject-sha512': referrers,
  'subject-after': referrers,
  'referrers-missing-repository': referrers,
  'referrers-several': referrers,
  'referrers-here-only': referrers,
  'referrers-by-tag': referrers,
  'referrers-artifact-type-empty': referrers,
  'referrers-index-artifact-type': referrers,
  'referrers-index-artifact-type-empty': referrers,
  'referrers-filter-config': referrers,
  'referrers-bad-sha256:a': referrers,
  'referrers-bad-v1': referrers,
  'referrers-bad-md5:0000': referrers,
  'referrers-tag-schema': referrers,
  'referrers-pages': referrers,
};

describeRoot("the specification, kept by Debian's docker-registry", () => {
  let registry: DockerRegistry;
  let target: ConformanceTarget;
  beforeAll(async () => {
    registry = await startDockerRegistry();
    target = openConformanceTarget(registry.url);
  });
  afterAll(async () => {
    target[Symbol.dispose]();
    await registry.stop();
  });

  test('every difference is of a case that is there', () => {
    expect(conformanceCases.map(({ id }) => id)).toEqual(expect.arrayContaining(Object.keys(differences)));
  });

  test.each(conformanceCases)('$id: $title', async ({ id, run }) => {
    const passes = await run(target).then(
      () => true,
      (error: unknown) => {
        if (differences[id] === undefined) throw error;
        return false;
      },
    );
    // The order of a directory can be the right one by chance.
    if (differences[id] !== unsorted) expect(passes).toBe(differences[id] === undefined);
  });
});
