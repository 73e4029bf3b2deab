import { describe, expect, test } from '@jest/globals';

import { openRegistryClient, type Repository } from '../src/index.ts';
import {
  manifestBytes,
  OCI_INDEX_TYPE,
  OCI_MANIFEST_TYPE,
  QUICK,
  sendError,
  sendManifest,
  sha256,
  startServer,
  type Handler,
  type Recorded,
} from './registry-server.ts';

const MANIFEST = manifestBytes('manifest');
const DIGEST = sha256(MANIFEST);

const withRepository = async <T>(
  handler: Handler,
  use: (repository: Repository, requests: readonly Recorded[]) => Promise<T>,
): Promise<T> => {
  await using registry = await startServer(handler);
  await using client = openRegistryClient({ retry: QUICK });
  return await use(client.repository(`${registry.domain}/team/app`), registry.requests);
};

/** A registry of manifests, with the referrers API or without, that keeps `If-Match` or doesn't. */
const manifestRegistry = ({ etags = true }: { etags?: boolean } = {}): Handler & {
  readonly tags: Map<string, Buffer>;
} => {
  const tags = new Map<string, Buffer>();
  const handler: Handler = ({ method, path, headers, body }, response) => {
    const [, kind = '', name = ''] = /\/(manifests|referrers)\/(.+)$/.exec(path) ?? [];
    const known = tags.get(name);
    const etag = known === undefined ? undefined : `"${sha256(known)}"`;
    if (kind === 'referrers') {
      sendError(response, 404, 'NOT_FOUND');
      return;
    }
    if (method === 'PUT') {
      if (etags && headers['if-match'] !== undefined && headers['if-match'] !== etag) {
        sendError(response, 412, 'PRECONDITION');
        return;
      }
      tags.set(name, body);
      tags.set(sha256(body), body);
      response.writeHead(201, { 'docker-content-digest': sha256(body) }).end();
      return undefined;
    }
    if (known === undefined) {
      sendError(response, 404, 'MANIFEST_UNKNOWN');
      return;
    }
    if (method === 'DELETE') {
      tags.delete(name);
      response.writeHead(202).end();
      return undefined;
    }
    const type = (JSON.parse(known.toString()) as { mediaType: string }).mediaType;
    sendManifest(response, known, { 'content-type': type, ...(etags ? { etag: etag ?? '' } : {}) });
  };
  return Object.assign(handler, { tags });
};

describe('referrers', () => {
  const SUBJECT = { mediaType: OCI_MANIFEST_TYPE, digest: DIGEST, size: MANIFEST.length };
  const about = (artifactType: string): Buffer => manifestBytes(artifactType, { artifactType, subject: SUBJECT });

  test('come from the API, over its pages, filtered if the registry has not done it', async () => {
    const line = (name: string, artifactType: string): object => ({
      mediaType: OCI_MANIFEST_TYPE,
      digest: sha256(name),
      size: 3,
      artifactType,
    });
    const handler: Handler = ({ path, query }, response) => {
      const second = query.has('page');
      if (!second) response.setHeader('link', `<${path}?page=2>; rel="next"`);
      response.setHeader('content-type', OCI_INDEX_TYPE);
      const manifests = second ? [line('c', 'a/one')] : [line('a', 'a/one'), line('b', 'a/two')];
      response.end(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests }));
    };
    await withRepository(handler, async (repository, requests) => {
      const all = await repository.referrers(DIGEST);
      expect(all.manifests.map(({ digest }) => digest)).toEqual(['a', 'b', 'c'].map((name) => sha256(name)));
      const ones = await repository.referrers(DIGEST, { artifactType: 'a/one' });
      expect(ones.manifests.map(({ digest }) => digest)).toEqual([sha256('a'), sha256('c')]);
      expect(requests[2]?.path).toBe(`/v2/team/app/referrers/${DIGEST}`);
      expect(requests[2]?.query.get('artifactType')).toBe('a/one');
    });
  });

  test('live under a tag where there is no API: listed, kept, and taken off again', async () => {
    const handler = manifestRegistry();
    await withRepository(handler, async (repository) => {
      await expect(repository.referrers(DIGEST)).resolves.toEqual({
        schemaVersion: 2,
        mediaType: OCI_INDEX_TYPE,
        manifests: [],
      });
      const one = await repository.putManifest(about('a/one'), { mediaType: OCI_MANIFEST_TYPE });
      await repository.putManifest(about('a/two'), { mediaType: OCI_MANIFEST_TYPE, tag: 'two' });
      await repository.putManifest(about('a/two'), { mediaType: OCI_MANIFEST_TYPE, tag: 'two' });
      const { manifests } = await repository.referrers(DIGEST);
      expect(manifests).toEqual([
        { ...one, artifactType: 'a/one', annotations: { title: 'a/one' } },
        expect.objectContaining({ digest: sha256(about('a/two')), artifactType: 'a/two' }),
      ]);
      expect(handler.tags.has(`sha256-${DIGEST.slice(7)}`)).toBe(true);
      await expect(repository.referrers(DIGEST, { artifactType: 'a/two' })).resolves.toMatchObject({
        manifests: [{ artifactType: 'a/two' }],
      });
      await repository.deleteManifest(one.digest);
      await expect(repository.referrers(DIGEST)).resolves.toMatchObject({ manifests: [{ artifactType: 'a/two' }] });
    });
  });

  test('pushed at the same time are all kept: by one process, and by several where If-Match counts', async () => {
    const types = Array.from({ length: 6 }, (_, i) => `a/x${String(i)}`);
    const handler = manifestRegistry({ etags: false });
    await withRepository(handler, async (repository) => {
      await Promise.all(types.map((type) => repository.putManifest(about(type), { mediaType: OCI_MANIFEST_TYPE })));
      const { manifests } = await repository.referrers(DIGEST);
      expect(manifests.map(({ artifactType }) => artifactType).sort()).toEqual(types);
    });
    // Somebody else writes between our look and our write.
    const shared = manifestRegistry();
    const tag = `sha256-${DIGEST.slice(7)}`;
    let intruded = false;
    const racing: Handler = (request, response, raw) => {
      if (request.method === 'PUT' && request.path.endsWith(tag) && !intruded) {
        intruded = true;
        const line = { mediaType: OCI_MANIFEST_TYPE, digest: sha256('theirs'), size: 1, artifactType: 'their/type' };
        shared.tags.set(
          tag,
          Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: [line] })),
        );
      }
      return shared(request, response, raw);
    };
    await withRepository(racing, async (repository) => {
      await repository.putManifest(about('first'), { mediaType: OCI_MANIFEST_TYPE });
      intruded = false;
      await repository.putManifest(about('our/type'), { mediaType: OCI_MANIFEST_TYPE });
      const { manifests } = await repository.referrers(DIGEST);
      expect(manifests.map(({ artifactType }) => artifactType).sort()).toEqual(['our/type', 'their/type']);
    });
  });

  test('are left to a registry that says that it lists them', async () => {
    await withRepository(
      ({ body }, response) => {
        response.writeHead(201, { 'oci-subject': DIGEST, 'docker-content-digest': sha256(body) }).end();
      },
      async (repository, requests) => {
        await repository.putManifest(about('a/one'), { mediaType: OCI_MANIFEST_TYPE });
        expect(requests.map(({ method }) => method)).toEqual(['PUT']);
      },
    );
  });

  test('a pushed manifest that arrives as another is CONTENT_MISMATCH', async () => {
    const handler: Handler = (_, response) => {
      response.writeHead(201, { 'docker-content-digest': sha256('other') }).end();
    };
    await withRepository(handler, async (repository) => {
      await expect(repository.putManifest(MANIFEST, { mediaType: OCI_MANIFEST_TYPE })).rejects.toMatchObject({
        code: 'CONTENT_MISMATCH',
      });
      await expect(repository.putManifest(Buffer.from('{}'), { mediaType: OCI_MANIFEST_TYPE })).rejects.toMatchObject({
        code: 'DOCUMENT_INVALID',
      });
    });
  });
});
