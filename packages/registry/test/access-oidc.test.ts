import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';

import { serveRegistry } from '../src/index.ts';
import type { AccessOptions, OidcOptions, RegistryServer } from '../src/index.ts';
import { TestIssuer } from './access-issuer.ts';
import { basic, bearer, claimsOf, getToken, pushImage, send, statusOf } from './access-steps.ts';

let dir: string;
const failures: unknown[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tsc-registry-oidc-'));
});
afterAll(() => rm(dir, { recursive: true }));

const serve = (access: AccessOptions): Promise<RegistryServer> =>
  serveRegistry({
    listen: '127.0.0.1:0',
    rootDir: join(dir, 'root'),
    access,
    onFailure: (failure) => failures.push(failure),
  });

describe('tokens of an OpenID Connect issuer', () => {
  let issuer: TestIssuer;
  let server: RegistryServer;
  const options = (): OidcOptions => ({
    issuer: issuer.url,
    audience: 'tsc',
    claims: { owner: ['acme', 'acme-*'] },
    groupsClaim: 'groups',
    prefix: 'ci:',
  });
  const rules: AccessOptions['rules'] = [
    { repositories: ['app'], accounts: ['ci:repo:acme/*'], actions: ['pull', 'push'] },
    { repositories: ['**'], groups: ['ci:admins'], actions: ['pull', 'push', 'delete'] },
  ];
  beforeEach(async () => {
    failures.length = 0;
    issuer = await TestIssuer.open();
    server = await serve({ oidc: [options()], tokens: { keyFile: join(dir, 'token.key') }, rules });
  });
  afterEach(async () => {
    await server.close();
    await issuer[Symbol.asyncDispose]();
  });
  const version = (token: string): Promise<number> => statusOf(`${server.url}/v2/`, { authorization: bearer(token) });

  test('make accounts and groups', async () => {
    const push = async (name: string, claims: Readonly<Record<string, unknown>>): Promise<number> =>
      pushImage(server.url, name, bearer(await issuer.sign({ owner: 'acme', ...claims })));
    expect(await push('app', {})).toBe(201);
    expect(await push('other', {})).toBe(403);
    expect(await push('app', { sub: 'repo:evil/app' })).toBe(403);
    expect(await push('other', { groups: ['admins', 'others'] })).toBe(201);
    expect(await push('other', { groups: 'admins' })).toBe(201);
    expect(await push('other', { groups: ['ci:admins'] })).toBe(403);
    expect(await push('other', { groups: { admins: true } })).toBe(403);
    expect(issuer.asked).toBe(1);
  });

  test('are taken as password of the user oidc, and for a token of ours', async () => {
    const password = await issuer.sign({ owner: 'acme' });
    const authorization = basic('oidc', password);
    expect(await statusOf(`${server.url}/v2/`, { authorization })).toBe(200);
    expect(await statusOf(`${server.url}/v2/`, { authorization: basic('alice', password) })).toBe(401);
    for (const credential of [authorization, bearer(password)]) {
      const got = await getToken(server.url, credential, 'repository:app:pull,push,delete');
      expect(claimsOf(got.token)).toMatchObject({ sub: 'ci:repo:acme/app', access: [{ actions: ['pull', 'push'] }] });
      expect(await pushImage(server.url, 'app', bearer(got.token))).toBe(201);
    }
    const admin = await getToken(
      server.url,
      bearer(await issuer.sign({ owner: 'acme', groups: 'admins' })),
      'repository:x:push,pull',
    );
    expect(await pushImage(server.url, 'x', bearer(admin.token))).toBe(201);
    const offline = await send(`${server.url}/token?offline_token=true`, { authorization });
    expect(await offline.json()).not.toHaveProperty('refresh_token');
  });

  const now = (): number => Math.floor(Date.now() / 1000);
  test.each([
    ['of another owner', () => ({ owner: 'evil' }), {}],
    ['without an owner', () => ({}), {}],
    ['with an odd owner', () => ({ owner: { acme: true } }), {}],
    ['for others', () => ({ owner: 'acme', aud: 'sts.example' }), {}],
    ['without an audience', () => ({ owner: 'acme', aud: undefined }), {}],
    ['that has expired', () => ({ owner: 'acme', exp: now() - 40 }), {}],
    ['that never expires', () => ({ owner: 'acme', exp: undefined }), {}],
    ['that is not yet valid', () => ({ owner: 'acme', nbf: now() + 40 }), {}],
    ['without an account', () => ({ owner: 'acme', sub: undefined }), {}],
    ['with an empty account', () => ({ owner: 'acme', sub: '' }), {}],
    ['with an odd account', () => ({ owner: 'acme', sub: ['a'] }), {}],
    ['with a control character in the account', () => ({ owner: 'acme', sub: 'a\nb' }), {}],
    ['with a jku', () => ({ owner: 'acme' }), { jku: 'http://127.0.0.1:1/' }],
    ['with a kid that nobody knows', () => ({ owner: 'acme' }), { kid: 'unknown' }],
  ])('%s are refused', async (_what, claims, header) => {
    expect(await version(await issuer.sign(claims(), header))).toBe(401);
  });

  test('may be a little early or late', async () => {
    expect(await version(await issuer.sign({ owner: 'acme-2', exp: now() - 20 }))).toBe(200);
    expect(await version(await issuer.sign({ owner: ['x', 'acme'], nbf: now() + 20 }))).toBe(200);
  });

  test('by somebody else in its name are refused', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const claims = claimsOf(await issuer.sign({ owner: 'acme' }));
    const forged = new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256' });
    expect(await version(await forged.sign(privateKey))).toBe(401);
    const shared = new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' });
    expect(await version(await shared.sign(Buffer.alloc(32)))).toBe(401);
    expect(await version(await issuer.sign({ owner: 'acme', iss: 'https://elsewhere.example' }))).toBe(401);
  });

  test('go on while the issuer is away, and it is not asked again and again', async () => {
    const token = await issuer.sign({ owner: 'acme' });
    expect(await version(token)).toBe(200);
    issuer.away = true;
    expect(await version(token)).toBe(200);
    for (let round = 0; round < 20; round += 1) {
      expect(await version(await issuer.sign({ owner: 'acme' }, { kid: String(round) }))).toBe(401);
    }
    expect(issuer.asked).toBe(1);
  });

  test('can not be judged without the issuer', async () => {
    issuer.away = true;
    const answer = await send(`${server.url}/v2/`, { authorization: bearer(await issuer.sign({ owner: 'acme' })) });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10']);
    expect(String(failures)).toContain(`cannot get the keys of ${issuer.url}`);
  });

  test.each([
    ['calls itself something else', (): void => void (issuer.claimed = 'https://elsewhere.example')],
    ['has its keys where anybody can change them', (): void => void (issuer.jwksUrl = 'http://keys.example/')],
  ])('of an issuer that %s are refused', async (_what, change) => {
    change();
    expect(await version(await issuer.sign({ owner: 'acme' }))).toBe(503);
  });
});

describe('an issuer that changes its keys', () => {
  test('is asked again, but not more often than every ten seconds', async () => {
    await using issuer = await TestIssuer.open();
    await using server = await serve({ oidc: [{ issuer: issuer.url, audience: 'tsc', claims: {} }] });
    let nowMs = performance.now();
    const real = performance.now.bind(performance);
    // The clock that keys grow old by, moved by hand.
    performance.now = () => nowMs;
    try {
      const status = async (): Promise<number> =>
        statusOf(`${server.url}/v2/`, { authorization: bearer(await issuer.sign({})) });
      expect([await status(), issuer.asked]).toEqual([200, 1]);
      issuer.rotate('ES256');
      expect([await status(), issuer.asked]).toEqual([401, 1]);
      nowMs += 11_000;
      expect([await status(), await status(), issuer.asked]).toEqual([200, 200, 2]);
      nowMs += 11 * 60_000;
      expect([await status(), issuer.asked]).toEqual([200, 3]);
      issuer.away = true;
      nowMs += 23 * 3_600_000;
      expect([await status(), issuer.asked]).toEqual([200, 3]);
      nowMs += 2 * 3_600_000;
      expect(await status()).toBe(503);
    } finally {
      performance.now = real;
    }
  });
});

describe('the tokens of somebody else’s token server', () => {
  test('grant what they say', async () => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const publicKeysFile = join(dir, 'keys.pem');
    await writeFile(publicKeysFile, pair.publicKey.export({ type: 'spki', format: 'pem' }));
    const delegatedTokens = { realm: 'https://auth.example/token', service: 'r', issuer: 'auth', publicKeysFile };
    await using server = await serve({ delegatedTokens });
    const sign = (claims: Readonly<Record<string, unknown>>, key = pair.privateKey, alg = 'RS256'): Promise<string> => {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: 'auth', aud: 'r', sub: 'alice', exp: now + 60, ...claims })
        .setProtectedHeader({ alg, typ: 'JWT', kid: 'ignored' })
        .sign(key);
    };
    const both = [{ type: 'repository', name: 'delegated', actions: ['pull', 'push'] }];
    const push = async (...parameters: Parameters<typeof sign>): Promise<number> =>
      pushImage(server.url, 'delegated', bearer(await sign(...parameters)));

    const challenge = await send(`${server.url}/v2/delegated/manifests/v1`);
    expect([challenge.status, challenge.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="https://auth.example/token",service="r",scope="repository:delegated:pull"',
    ]);
    expect(await push({ access: both })).toBe(201);
    expect(await push({ access: [] })).toBe(401);
    expect(await push({ access: both, aud: 'x' })).toBe(401);
    expect(await push({ access: both, iss: 'x' })).toBe(401);
    expect(await push({ access: both }, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)).toBe(401);
    expect(await push({ access: both }, pair.privateKey, 'PS256')).toBe(401);
    const list = async (access: readonly object[]): Promise<number> =>
      statusOf(`${server.url}/v2/_catalog`, { authorization: bearer(await sign({ access })) });
    expect(await list(both)).toBe(401);
    expect(await list([{ type: 'registry', name: 'catalog', actions: ['*'] }])).toBe(200);
    expect(await statusOf(`${server.url}/token`)).toBe(404);
  });
});
