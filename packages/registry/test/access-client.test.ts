import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { blobFromBytes, composeArtifact, isImageError, openRegistryClient, pushArtifact } from '@tsc/image';
import { hashSync } from 'bcryptjs';

import { serveRegistry } from '../src/index.ts';
import type { AccessOptions, RegistryServer } from '../src/index.ts';
import { basic, pushImage } from './access-steps.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tsc-registry-client-'));
  await writeFile(join(dir, 'accounts'), `alice:${hashSync('wonderland', 5)}\nbob:${hashSync('builder', 5)}\n`);
});
afterAll(() => rm(dir, { recursive: true }));

const everything: AccessOptions['rules'] = [
  { repositories: ['**'], accounts: ['alice'], actions: ['pull', 'push', 'delete'] },
];
const open: AccessOptions = {
  tokens: {},
  rules: [...everything, { repositories: ['public/**'], anonymous: true, actions: ['pull'] }],
};
const serve = (access: AccessOptions): Promise<RegistryServer> =>
  serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root'), access });

describe('our client', () => {
  test.each([
    ['tokens', open],
    ['passwords', { rules: everything }],
  ])('pushes, lists and pulls with %s, and is told what it may not', async (_what, access) => {
    await using server = await serve({ accounts: { htpasswdFile: join(dir, 'accounts') }, ...access });
    expect(await pushImage(server.url, 'public/app', basic('alice', 'wonderland'))).toBe(201);
    const credentialFor = (username: string, password: string) => ({
      credentialFor: () => Promise.resolve({ username, password }),
    });
    const blobs = [blobFromBytes(Buffer.from('hello'), 'text/plain')];
    const artifact = composeArtifact({ artifactType: 'text/example', blobs });
    await using client = openRegistryClient({ credentials: credentialFor('alice', 'wonderland') });
    const { domain } = server;
    await client.verifyCredential(domain, { username: 'alice', password: 'wonderland' });
    for await (const _event of pushArtifact(client, `${domain}/team/ours:v1`, artifact));
    const repository = client.repository(`${domain}/team/ours`);
    expect(await Array.fromAsync(repository.tags())).toEqual(['v1']);
    expect(await Array.fromAsync(client.repositories(domain))).toContain('team/ours');

    await using other = openRegistryClient({ credentials: credentialFor('bob', 'builder') });
    expect(await Array.fromAsync(other.repositories(domain))).not.toContain('team/ours');
    const refusal = await Array.fromAsync(other.repository(`${domain}/team/ours`).tags()).catch(
      (error: unknown) => error,
    );
    expect(isImageError(refusal) && refusal.code).toBe('REGISTRY_UNAUTHORIZED');
    const wrong = await other
      .verifyCredential(domain, { username: 'bob', password: 'x' })
      .catch((error: unknown) => error);
    expect(isImageError(wrong) && wrong.code).toBe('REGISTRY_UNAUTHORIZED');

    await using anonymous = openRegistryClient();
    const found = access === open ? ['v1'] : 'refused';
    expect(await Array.fromAsync(anonymous.repository(`${domain}/public/app`).tags()).catch(() => 'refused')).toEqual(
      found,
    );
  });
});
