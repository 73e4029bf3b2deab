import { describe, expect, test } from '@jest/globals';

import { openRegistryClient, type Descriptor, type RegistriesConfig, type RegistryMirror } from '../src/index.ts';
import {
  manifestBytes,
  OCI_MANIFEST_TYPE,
  QUICK,
  sendError,
  sendManifest,
  sha256,
  startServer,
  type Handler,
  type TestServer,
} from './registry-server.ts';

const MANIFEST = manifestBytes('mirrored');
const DIGEST = sha256(MANIFEST);
const BLOB: Descriptor = { mediaType: 'application/octet-stream', digest: sha256('blob'), size: 4 };

const honest: Handler = ({ method, path }, response) => {
  if (method === 'POST') response.writeHead(202, { location: '/upload' }).end();
  else if (method === 'PUT') response.writeHead(201).end();
  else if (path.includes('/blobs/') && method === 'HEAD') response.writeHead(404).end();
  else if (path.includes('/blobs/')) response.end('blob');
  else sendManifest(response, MANIFEST);
};

const failing: Handler = (_, response) => sendError(response, 500, 'UNKNOWN');

const mirrored = (origin: TestServer, ...mirrors: readonly RegistryMirror[]): RegistriesConfig => ({
  hosts: { [origin.domain]: { mirrors } },
});

const paths = ({ requests }: TestServer): readonly string[] =>
  requests.map(({ method, path, query }) => `${method} ${path}${query.size === 0 ? '' : `?${query.toString()}`}`);

describe('mirrors', () => {
  test('are read from instead of the registry, below their path, and told whose they are', async () => {
    await using origin = await startServer(honest);
    await using mirror = await startServer(honest);
    const registries = mirrored(origin, { url: `${mirror.url}/cache/` });
    await using client = openRegistryClient({ registries, retry: QUICK });
    const repository = client.repository(`${origin.domain}/team/app`);
    await repository.manifest('v1');
    await repository.resolve(DIGEST);
    (await repository.openBlob(BLOB)).resume();
    const ns = encodeURIComponent(origin.domain);
    expect(paths(mirror)).toEqual([
      `GET /v2/cache/team/app/manifests/v1?ns=${ns}`,
      `HEAD /v2/cache/team/app/manifests/${DIGEST}?ns=${ns}`,
      `GET /v2/cache/team/app/blobs/${BLOB.digest}?ns=${ns}`,
    ]);
    expect(origin.requests).toEqual([]);
  });

  test('are not pushed to', async () => {
    await using origin = await startServer(honest);
    await using mirror = await startServer(honest);
    await using client = openRegistryClient({ registries: mirrored(origin, { url: mirror.url }), retry: QUICK });
    const repository = client.repository(`${origin.domain}/team/app`);
    await repository.putManifest(MANIFEST, { mediaType: OCI_MANIFEST_TYPE, tag: 'v1' });
    await repository.hasBlob(BLOB.digest);
    await repository.deleteBlob(BLOB.digest).catch(() => undefined);
    expect(mirror.requests).toEqual([]);
    expect(origin.requests).toHaveLength(3);
  });

  test('are asked in turn, once each; what lies or fails is passed over', async () => {
    await using origin = await startServer(honest);
    await using down = await startServer(failing);
    await using lying = await startServer((_, response) => {
      sendManifest(response, manifestBytes('tampered'));
    });
    const registries = mirrored(origin, { url: 'http://127.0.0.1:1' }, { url: down.url }, { url: lying.url });
    await using client = openRegistryClient({ registries, retry: QUICK });
    const repository = client.repository(`${origin.domain}/team/app`);
    await expect(repository.manifest(DIGEST)).resolves.toMatchObject({ bytes: MANIFEST });
    expect([down, lying, origin].map(({ requests }) => requests.length)).toEqual([1, 1, 1]);
  });

  test('with the capability to pull alone are not asked what a tag means', async () => {
    await using origin = await startServer(honest);
    await using mirror = await startServer(honest);
    const registries = mirrored(origin, { url: mirror.url, capabilities: ['pull'] });
    await using client = openRegistryClient({ registries, retry: QUICK });
    const repository = client.repository(`${origin.domain}/team/app`);
    await repository.resolve('v1');
    await repository.manifest('v1');
    expect(mirror.requests).toEqual([]);
    await repository.manifest(DIGEST);
    expect(mirror.requests).toHaveLength(1);
  });

  test('that fail are named when the registry fails too', async () => {
    await using origin = await startServer((_, response) => sendError(response, 404, 'MANIFEST_UNKNOWN'));
    await using down = await startServer(failing);
    await using client = openRegistryClient({ registries: mirrored(origin, { url: down.url }), retry: QUICK });
    await expect(client.repository(`${origin.domain}/app`).manifest('v1')).rejects.toMatchObject({
      code: 'REGISTRY_NOT_FOUND',
      message: expect.stringMatching(
        new RegExp(`${origin.domain} answered 404 .*; its mirrors: .*${down.domain} answered 500`),
      ),
    });
  });

  test('have credentials of their own', async () => {
    const guarded: Handler = (request, response, raw) => {
      if (request.headers.authorization !== undefined) return honest(request, response, raw);
      response.setHeader('www-authenticate', 'Basic realm=x');
      sendError(response, 401, 'UNAUTHORIZED');
    };
    await using origin = await startServer(honest);
    await using mirror = await startServer(guarded);
    const asked: string[] = [];
    const credentialFor = (domain: string): Promise<{ username: string; password: string }> => {
      asked.push(domain);
      return Promise.resolve({ username: 'm', password: 'mirror' });
    };
    const registries = mirrored(origin, { url: mirror.url });
    await using client = openRegistryClient({ registries, credentials: { credentialFor }, retry: QUICK });
    await client.repository(`${origin.domain}/app`).manifest('v1');
    expect(asked).toEqual([mirror.domain]);
    expect(origin.requests).toEqual([]);
  });

  test("of '*' are for every host that is not named", async () => {
    await using named = await startServer(honest);
    await using other = await startServer(honest);
    await using cache = await startServer(honest);
    const registries = { hosts: { '*': { mirrors: [{ url: cache.url }] }, [named.domain]: {} } };
    await using client = openRegistryClient({ registries, retry: QUICK });
    await client.repository(`${named.domain}/app`).manifest('v1');
    await client.repository(`${other.domain}/app`).manifest('v1');
    expect([named, other, cache].map(({ requests }) => requests.length)).toEqual([1, 0, 1]);
    expect(cache.requests[0]?.query.get('ns')).toBe(other.domain);
  });
});
