import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  blobFromBytes,
  composeArtifact,
  composeIndex,
  openCredentialFile,
  openRegistryClient,
  type Artifact,
  type Credential,
  type RegistryClient,
  type RegistryClientOptions,
  type Repository,
} from '../src/index.ts';
import { makeAuthority, makeCertificate, type TestCertificate } from './certificates.ts';
import { startDockerRegistry, type DockerRegistry } from './docker-registry.ts';
import { QUICK, type TestServer } from './registry-server.ts';
import { startTokenServer } from './registry-token-server.ts';
import { scratch, type Scratch } from './scratch.ts';

const BYTES = randomBytes(300_000);
const BLOB = blobFromBytes(BYTES, 'application/octet-stream');
const ARTIFACT = composeArtifact({ artifactType: 'test/plain', blobs: [BLOB] });
const OTHER = composeArtifact({ artifactType: 'test/other', blobs: [] });
const ALICE = { username: 'alice', password: 'correct horse' };

const withClient = async <T>(
  options: RegistryClientOptions,
  use: (client: RegistryClient) => Promise<T>,
): Promise<T> => {
  await using client = openRegistryClient({ retry: QUICK, ...options });
  return await use(client);
};

const credentials = (credential: Credential): Pick<RegistryClientOptions, 'credentials'> => ({
  credentials: { credentialFor: () => Promise.resolve(credential) },
});

const push = async (repository: Repository, artifact: Artifact, tag?: string): Promise<void> => {
  for (const member of artifact.manifests) await push(repository, member);
  for (const blob of artifact.blobs) await repository.uploadBlob(blob);
  await repository.putManifest(artifact.bytes, { mediaType: artifact.descriptor.mediaType, tag });
};

const pull = async (repository: Repository, tag: string): Promise<readonly Buffer[]> => {
  const artifact = await repository.artifact(tag);
  const blobs: Buffer[] = [];
  for (const blob of artifact.blobs) {
    const chunks: Buffer[] = [];
    for await (const chunk of blob.open() as AsyncIterable<Buffer>) chunks.push(chunk);
    blobs.push(Buffer.concat(chunks));
  }
  return [artifact.bytes, ...blobs];
};

const listOf = async (items: AsyncIterable<string>): Promise<readonly string[]> => {
  const list: string[] = [];
  for await (const item of items) list.push(item);
  return list;
};

describe('docker-registry without accounts', () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry();
  });
  afterAll(() => registry.stop());

  test('keeps what we push, and gives it back', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/team/app`);
      await push(repository, ARTIFACT, 'v1');
      const [bytes, config, layer] = await pull(repository, 'v1');
      expect(bytes).toEqual(ARTIFACT.bytes);
      expect(config?.toString()).toBe('{}');
      expect(layer?.equals(BYTES)).toBe(true);
      await expect(repository.resolve('v1')).resolves.toEqual({
        mediaType: ARTIFACT.descriptor.mediaType,
        digest: ARTIFACT.descriptor.digest,
        size: ARTIFACT.bytes.length,
      });
    });
  });

  test('takes an index and its members', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/team/index`);
      const index = composeIndex([ARTIFACT, OTHER]);
      await push(repository, index, 'all');
      const back = await repository.artifact('all');
      expect(back.bytes).toEqual(index.bytes);
      expect(back.manifests.map(({ bytes }) => bytes)).toEqual([ARTIFACT.bytes, OTHER.bytes]);
    });
  });

  test('takes chunks, mounts, and says what it has', async () => {
    await withClient({}, async (client) => {
      const [one, two] = ['chunks/one', 'chunks/two'].map((name) => client.repository(`${registry.domain}/${name}`));
      if (one === undefined || two === undefined) throw new Error('unreachable');
      await expect(one.hasBlob(BLOB.descriptor.digest)).resolves.toBe(false);
      await expect(one.uploadBlob(BLOB, { chunkBytes: 70_000 })).resolves.toBe('uploaded');
      await expect(one.hasBlob(BLOB.descriptor.digest)).resolves.toBe(true);
      await expect(one.uploadBlob(BLOB)).resolves.toBe('present');
      await expect(two.uploadBlob(BLOB, { mountFrom: ['not/there', 'chunks/one'] })).resolves.toBe('mounted');
      const part = await two.openBlob(BLOB.descriptor, { offset: 100_000, length: 5 });
      await expect(part.toArray()).resolves.toEqual([BYTES.subarray(100_000, 100_005)]);
      await two.deleteBlob(BLOB.descriptor.digest);
      await expect(two.hasBlob(BLOB.descriptor.digest)).resolves.toBe(false);
    });
  });

  test('takes an empty blob', async () => {
    await withClient({}, async (client) => {
      const empty = blobFromBytes(Buffer.alloc(0), 'application/octet-stream');
      const repository = client.repository(`${registry.domain}/team/empty`);
      await expect(repository.uploadBlob(empty)).resolves.toBe('uploaded');
      await expect(repository.hasBlob(empty.descriptor.digest)).resolves.toBe(true);
    });
  });

  test('lists tags and repositories in pages', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/tags/many`);
      const tags = ['a', 'b', 'c', 'd', 'e'];
      for (const tag of tags) await push(repository, OTHER, tag);
      // This registry gives them in no order.
      expect([...(await listOf(repository.tags({ pageSize: 2 })))].sort()).toEqual(tags);
      await push(client.repository(`${registry.domain}/tags/few`), OTHER, 'x');
      const all = await listOf(client.repositories(registry.domain, { pageSize: 1 }));
      expect(all).toEqual(expect.arrayContaining(['tags/few', 'tags/many']));
    });
  });

  test('gets its referrers under a tag, since it has no API for them', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/team/signed`);
      await push(repository, ARTIFACT, 'v1');
      const subject = ARTIFACT.descriptor;
      const signature = composeArtifact({ artifactType: 'test/signature', blobs: [], subject });
      const sbom = composeArtifact({ artifactType: 'test/sbom', blobs: [], subject });
      await Promise.all([push(repository, signature), push(repository, sbom)]);
      const all = await repository.referrers(subject.digest);
      expect(all.manifests.map(({ artifactType }) => artifactType).sort()).toEqual(['test/sbom', 'test/signature']);
      await expect(repository.referrers(subject.digest, { artifactType: 'test/sbom' })).resolves.toMatchObject({
        manifests: [{ digest: sbom.descriptor.digest }],
      });
      await repository.deleteManifest(sbom.descriptor.digest);
      const left = await repository.referrers(subject.digest);
      expect(left.manifests.map(({ digest }) => digest)).toEqual([signature.descriptor.digest]);
    });
  });

  test('says what it has not got', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/not/there`);
      for (const call of [
        repository.resolve('v1'),
        repository.manifest('v1'),
        repository.openBlob(BLOB.descriptor),
        listOf(repository.tags()),
        repository.deleteManifest(ARTIFACT.descriptor.digest),
        repository.deleteBlob(BLOB.descriptor.digest),
      ])
        await expect(call).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
      const unknown = composeArtifact({
        artifactType: 'test/x',
        blobs: [blobFromBytes(Buffer.from('never sent'), 'a/b')],
      });
      await expect(repository.putManifest(unknown.bytes, unknown.descriptor)).rejects.toMatchObject({
        code: 'REGISTRY_REFUSED',
        message: expect.stringContaining('MANIFEST_BLOB_UNKNOWN'),
      });
    });
  });

  test('with tampered storage gives CONTENT_MISMATCH', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/tampered/app`);
      const blob = blobFromBytes(randomBytes(100_000), 'application/octet-stream');
      await repository.uploadBlob(blob);
      const hex = blob.descriptor.digest.slice(7);
      const file = join(registry.storageDir, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
      const data = readFileSync(file);
      data[99_999] = (data[99_999] ?? 0) ^ 1;
      writeFileSync(file, data);
      await expect(blob.open().toArray()).resolves.toBeDefined();
      await expect(repository.blob(blob.descriptor).open().toArray()).rejects.toMatchObject({
        code: 'CONTENT_MISMATCH',
      });
    });
  });

  test('leaves no unfinished upload behind in its storage', async () => {
    await withClient({}, async (client) => {
      const repository = client.repository(`${registry.domain}/clean/app`);
      await repository.uploadBlob(BLOB, { chunkBytes: 100_000 });
      const dir = join(registry.storageDir, 'docker/registry/v2/repositories/clean/app/_uploads');
      expect(readdirSync(dir)).toEqual([]);
    });
  });

  test('is read through another that caches it, as a mirror', async () => {
    await using cache = await startDockerRegistry({ proxyUrl: registry.url });
    await withClient({}, async (client) => push(client.repository(`${registry.domain}/cached/app`), ARTIFACT, 'v1'));
    // Nobody listens at the registry's own port any more: all comes from the mirror.
    const gone = createServer();
    gone.listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const domain = `127.0.0.1:${String((gone.address() as { port: number }).port)}`;
    gone.close();
    const registries = { hosts: { [domain]: { mirrors: [{ url: cache.url }] } } };
    await withClient({ registries }, async (client) => {
      const [bytes] = await pull(client.repository(`${domain}/cached/app`), 'v1');
      expect(bytes).toEqual(ARTIFACT.bytes);
    });
  });
});

describe('docker-registry with accounts', () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry({ htpasswd: { alice: ALICE.password } });
  });
  afterAll(() => registry.stop());

  test('wants one, and takes it', async () => {
    await withClient({}, async (client) => {
      await expect(client.repository(`${registry.domain}/app`).resolve('v1')).rejects.toMatchObject({
        code: 'REGISTRY_UNAUTHORIZED',
        message: expect.stringContaining('log in'),
      });
      await expect(client.verifyCredential(registry.domain, { ...ALICE, password: 'wrong' })).rejects.toMatchObject({
        code: 'REGISTRY_UNAUTHORIZED',
      });
      await client.verifyCredential(registry.domain, ALICE);
    });
    await withClient(credentials(ALICE), async (client) => {
      const repository = client.repository(`${registry.domain}/team/app`);
      await push(repository, ARTIFACT, 'v1');
      await expect(pull(repository, 'v1')).resolves.toHaveLength(3);
    });
  });

  test('takes what the credential file has', async () => {
    using dir = scratch();
    const file = openCredentialFile(dir.at('config.json'));
    await file.store(registry.domain, ALICE);
    await withClient({ credentials: file }, async (client) => {
      await push(client.repository(`${registry.domain}/filed/app`), OTHER, 'v1');
    });
    await file.erase(registry.domain);
    await withClient({ credentials: file }, async (client) => {
      await expect(client.repository(`${registry.domain}/filed/app`).resolve('v1')).rejects.toMatchObject({
        code: 'REGISTRY_UNAUTHORIZED',
      });
    });
  });
});

describe('docker-registry with a token server', () => {
  let dir: Scratch;
  let tokens: TestServer;
  let registry: DockerRegistry;
  const trusting = (): RegistryClientOptions => ({
    registries: { hosts: { [registry.domain]: { tokenHosts: [tokens.domain] } } },
  });

  beforeAll(async () => {
    dir = scratch();
    const authority = makeAuthority(dir.dir);
    const [service, issuer] = ['test registry', 'test issuer'];
    tokens = await startTokenServer({
      signer: makeCertificate(dir.dir, authority, 'signer'),
      service,
      issuer,
      users: { alice: ALICE.password },
      refreshTokens: { 'refresh me': 'alice' },
      allow: (user, name) => {
        if (user === 'alice') return ['pull', 'push', 'delete'];
        return name.startsWith('public/') ? ['pull'] : [];
      },
    });
    registry = await startDockerRegistry({
      token: { realm: `${tokens.url}/token`, service, issuer, rootCertFile: authority.certFile },
    });
  });
  afterAll(async () => {
    await registry.stop();
    await tokens[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });

  test('lets a user push, mount and delete, with a token for each', async () => {
    await withClient({ ...trusting(), ...credentials(ALICE) }, async (client) => {
      const one = client.repository(`${registry.domain}/public/app`);
      await push(one, ARTIFACT, 'v1');
      const two = client.repository(`${registry.domain}/private/app`);
      await expect(two.uploadBlob(BLOB, { mountFrom: ['public/app'] })).resolves.toBe('mounted');
      await push(two, ARTIFACT, 'v1');
      await two.deleteManifest(ARTIFACT.descriptor.digest);
      await expect(two.resolve('v1')).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
    });
    const scopes = tokens.requests.map(({ query }) => query.getAll('scope').join(' '));
    expect(scopes).toContain('repository:private/app:pull,push repository:public/app:pull');
    expect(new Set(scopes).size).toBe(scopes.length);
  });

  test('lets anybody pull what is public, and says who may not do what', async () => {
    await withClient({}, async (client) => {
      await expect(pull(client.repository(`${registry.domain}/public/app`), 'v1')).resolves.toHaveLength(3);
      const repository = client.repository(`${registry.domain}/public/app`);
      for (const call of [
        repository.uploadBlob(blobFromBytes(Buffer.from('x'), 'a/b')),
        client.repository(`${registry.domain}/private/app`).resolve('v1'),
      ])
        await expect(call).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
    });
  });

  test('takes an identity token, and refuses a wrong one and a wrong password', async () => {
    await withClient({ ...trusting(), ...credentials({ identityToken: 'refresh me' }) }, async (client) => {
      await expect(pull(client.repository(`${registry.domain}/public/app`), 'v1')).resolves.toHaveLength(3);
    });
    await withClient(trusting(), async (client) => {
      await client.verifyCredential(registry.domain, ALICE);
      await client.verifyCredential(registry.domain, { identityToken: 'refresh me' });
      for (const wrong of [{ ...ALICE, password: 'wrong' }, { identityToken: 'wrong' }, { registryToken: 'a.b.c' }])
        await expect(client.verifyCredential(registry.domain, wrong)).rejects.toMatchObject({
          code: 'REGISTRY_UNAUTHORIZED',
        });
    });
  });

  test('does not get the credential to another host unless that is configured', async () => {
    const before = tokens.requests.length;
    await withClient(credentials(ALICE), async (client) => {
      await expect(client.repository(`${registry.domain}/public/app`).resolve('v1')).rejects.toMatchObject({
        code: 'REGISTRY_UNAUTHORIZED',
        message: expect.stringContaining('tokenHosts'),
      });
    });
    expect(tokens.requests).toHaveLength(before);
  });
});

describe('docker-registry with TLS', () => {
  let dir: Scratch;
  let authority: TestCertificate;
  beforeAll(() => {
    dir = scratch();
    authority = makeAuthority(dir.dir);
  });
  afterAll(() => dir[Symbol.dispose]());

  test('is trusted by the configured authority only', async () => {
    const tls = makeCertificate(dir.dir, authority);
    await using registry = await startDockerRegistry({ tls });
    const hosts = (host: object): RegistryClientOptions => ({ registries: { hosts: { [registry.domain]: host } } });
    await withClient({}, async (client) => {
      await expect(client.repository(`${registry.domain}/app`).resolve('v1')).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
        message: expect.stringContaining('not trusted'),
      });
    });
    for (const host of [{ ca: authority.certFile }, { insecure: true }]) {
      await withClient(hosts(host), async (client) =>
        push(client.repository(`${registry.domain}/app`), ARTIFACT, 'v1'),
      );
    }
    // Its name is localhost too, where TLS is found out.
    const domain = registry.domain.replace('127.0.0.1', 'localhost');
    await withClient({ registries: { hosts: { [domain]: { ca: authority.cert } } } }, async (client) => {
      await expect(pull(client.repository(`${domain}/app`), 'v1')).resolves.toHaveLength(3);
    });
  });

  test('takes our certificate where it wants one', async () => {
    const tls = { ...makeCertificate(dir.dir, authority, 'strict'), clientCaFile: authority.certFile };
    await using registry = await startDockerRegistry({ tls });
    const own = makeCertificate(dir.dir, authority, 'client');
    const host = { ca: authority.cert, clientCertificate: own.certFile, clientKey: own.key };
    await withClient({ registries: { hosts: { [registry.domain]: host } } }, async (client) => {
      await push(client.repository(`${registry.domain}/app`), OTHER, 'v1');
    });
    await withClient({ registries: { hosts: { [registry.domain]: { ca: authority.cert } } } }, async (client) => {
      await expect(client.repository(`${registry.domain}/app`).resolve('v1')).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
      });
    });
  });
});
