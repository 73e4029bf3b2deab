import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { serveRegistry } from '../server/serve.ts';
import type { RegistryServer } from '../server/serve.ts';
import { openFileSystemStorage } from '../filesystem/storage.ts';
import { digestOf } from '../testing/case.ts';

/** The password is "secret". */
const HTPASSWD = 'alice:$2y$04$AHyeY2NsESKKkGG/qBxKHOlo8adZxE6Eqw.B/VAM/nGQM7cR4CNsq\n';
const content = Buffer.from('mounted');
const digest = digestOf(content);
let rootDir: string;
let server: RegistryServer;

beforeAll(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  const htpasswdFile = join(rootDir, 'htpasswd');
  await writeFile(htpasswdFile, HTPASSWD);
  const storage = await openFileSystemStorage(join(rootDir, 'storage'));
  for (const name of ['shown', 'hidden']) {
    const upload = { name, id: await storage.startUpload(name, 'sha256') };
    await storage.appendUpload(upload, { offset: 0, body: new Blob([content]).stream() });
    await storage.finishUpload(upload, digest);
  }
  const rules = [{ accounts: ['alice'], repositories: ['mine', 'shown'], actions: ['pull', 'push'] as const }];
  const access = { accounts: { htpasswdFile }, tokens: {}, rules };
  server = await serveRegistry({ listen: '127.0.0.1:0', storage, access });
});
afterAll(async () => {
  await server.close();
  await rm(rootDir, { recursive: true });
});

const mount = (from: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(`${server.url}/v2/mine/blobs/uploads/?mount=${digest}&from=${from}`, { method: 'POST', headers });

async function tokenFor(...scopes: readonly string[]): Promise<{ readonly Authorization: string }> {
  const query = scopes.map((scope) => `&scope=${scope}`).join('');
  const headers = { Authorization: `Basic ${Buffer.from('alice:secret').toString('base64')}` };
  const answer = await fetch(`${server.url}/token?service=tsc-registry${query}`, { headers });
  const { token } = (await answer.json()) as { readonly token: string };
  return { Authorization: `Bearer ${token}` };
}

describe('a mount, for clients with tokens', () => {
  const both = 'scope="repository:mine:pull,push repository:shown:pull"';

  test('asks for both repositories', async () => {
    const answer = await mount('shown');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('WWW-Authenticate')).toContain(both);
  });

  test('is a 401 with a token for one of them, where one for both can be had', async () => {
    const answer = await mount('shown', await tokenFor('repository:mine:pull,push'));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('WWW-Authenticate')).toContain(`${both},error="insufficient_scope"`);
    const token = await tokenFor('repository:mine:pull,push', 'repository:shown:pull');
    expect((await mount('shown', token)).status).toBe(201);
  });

  test('is an upload where it can not, and with a password', async () => {
    const token = await tokenFor('repository:mine:pull,push', 'repository:hidden:pull');
    expect((await mount('hidden', token)).status).toBe(202);
    const password = { Authorization: `Basic ${Buffer.from('alice:secret').toString('base64')}` };
    expect((await mount('hidden', password)).status).toBe(202);
    expect((await mount('shown', password)).status).toBe(201);
  });
});
