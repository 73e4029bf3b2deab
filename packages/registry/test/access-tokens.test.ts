import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hashSync } from 'bcryptjs';
import { exportJWK, SignJWT } from 'jose';

import { isRegistryConfigError, openAccessControl, serveRegistry } from '../src/index.ts';
import type { AccessOptions, RegistryServer } from '../src/index.ts';
import { basic, bearer, claimsOf, getToken, pushImage, send, statusOf } from './access-steps.ts';
import type { TokenAnswer } from './access-steps.ts';

const alice = basic('alice', 'wonderland');
const bob = basic('bob', 'builder');
const service = 'registry.example';

let dir: string;
let accounts: { readonly htpasswdFile: string };
let keyFile: string;
let server: RegistryServer;
const rules: AccessOptions['rules'] = [
  { repositories: ['team/**'], accounts: ['alice'], actions: ['pull', 'push', 'delete'] },
  { repositories: ['team/app'], accounts: ['*'], actions: ['pull'] },
  { repositories: ['public/**'], anonymous: true, actions: ['pull'] },
  { repositories: ['public/**'], accounts: ['alice'], actions: ['push'] },
];
const serve = (access: AccessOptions): Promise<RegistryServer> =>
  serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root'), access, reloadIntervalMs: 20 });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tsc-registry-tokens-'));
  keyFile = join(dir, 'token.key');
  accounts = { htpasswdFile: join(dir, 'accounts') };
  await writeFile(accounts.htpasswdFile, `alice:${hashSync('wonderland', 5)}\nbob:${hashSync('builder', 5)}\n`);
  server = await serve({ accounts, tokens: { service, keyFile }, rules });
  for (const name of ['team/app', 'team/secret', 'public/app'])
    expect(await pushImage(server.url, name, alice)).toBe(201);
});
afterAll(async () => {
  await server.close();
  await rm(dir, { recursive: true });
});

const manifest = (name: string): string => `${server.url}/v2/${name}/manifests/v1`;
const challengeOf = async (...parameters: Parameters<typeof send>): Promise<[number, string | null]> => {
  const answer = await send(...parameters);
  await answer.arrayBuffer();
  return [answer.status, answer.headers.get('www-authenticate')];
};
const realm = (): string => `Bearer realm="${server.url}/token",service="${service}"`;
const digest = `sha256:${'0'.repeat(64)}`;

describe('challenges', () => {
  test.each([
    ['GET', '/v2/', ''],
    ['GET', '/v2', ''],
    ['GET', '/v2/_catalog', 'registry:catalog:*'],
    ['GET', '/v2/team/app/manifests/v1', 'repository:team/app:pull'],
    ['HEAD', `/v2/team/app/blobs/${digest}`, 'repository:team/app:pull'],
    ['GET', '/v2/team/app/tags/list', 'repository:team/app:pull'],
    ['GET', `/v2/team/app/referrers/${digest}`, 'repository:team/app:pull'],
    ['POST', '/v2/team/app/blobs/uploads/', 'repository:team/app:pull,push'],
    ['PUT', '/v2/team/app/manifests/v1', 'repository:team/app:pull,push'],
    ['DELETE', '/v2/team/app/manifests/v1', 'repository:team/app:delete'],
  ])('%s %s asks for %j', async (method, path, scope) => {
    const wanted = scope === '' ? realm() : `${realm()},scope="${scope}"`;
    expect(await challengeOf(`${server.url}${path}`, { method })).toEqual([401, wanted]);
  });

  test('the realm is where the client thinks that we are, as far as that is a host', async () => {
    const ask = (host: string): Promise<readonly [number, string]> =>
      new Promise((resolve, reject) => {
        const outgoing = httpRequest(`${server.url}/v2/`, { headers: { host }, agent: false }, (answer) => {
          answer.resume();
          resolve([answer.statusCode ?? 0, answer.headers['www-authenticate'] ?? '']);
        });
        outgoing.on('error', reject);
        outgoing.end();
      });
    expect(await ask('registry.example:5000')).toEqual([
      401,
      `Bearer realm="http://registry.example:5000/token",service="${service}"`,
    ]);
    expect((await ask('[::1]:5000'))[1]).toContain('realm="http://[::1]:5000/token"');
    for (const host of ['a",realm="http://evil', 'a/b', 'user@host', 'a b', 'a:b']) {
      expect([host, ...(await ask(host))]).toEqual([host, 400, '']);
    }
    await using behind = await serve({ accounts, tokens: { realm: 'https://registry.example/token' } });
    expect((await challengeOf(`${behind.url}/v2/`))[1]).toContain('realm="https://registry.example/token"');
  });
});

describe('the token server', () => {
  const accessOf = ({ token }: TokenAnswer): unknown => claimsOf(token)['access'];

  test('narrows a token to what the account may do', async () => {
    const answer = await getToken(
      server.url,
      bob,
      'repository:team/app:pull,push repository:team/secret:pull',
      'repository:public/app:*',
    );
    expect(accessOf(answer)).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull'] },
      { type: 'repository', name: 'public/app', actions: ['pull'] },
    ]);
    expect(claimsOf(answer.token)).toMatchObject({ iss: service, aud: service, sub: 'bob' });
    expect([answer.expires_in, answer.access_token, answer.refresh_token]).toEqual([300, answer.token, undefined]);
    expect(Math.abs(Date.parse(answer.issued_at) - Date.now())).toBeLessThan(10_000);
  });

  test('gives anonymous clients what is for everybody', async () => {
    const { token } = await getToken(server.url, undefined, 'repository:public/app:pull,push repository:team/app:pull');
    expect(claimsOf(token)).toMatchObject({
      sub: '',
      access: [{ type: 'repository', name: 'public/app', actions: ['pull'] }],
    });
    const authorization = bearer(token);
    expect(await statusOf(`${server.url}/v2/`, { authorization })).toBe(200);
    expect(await statusOf(manifest('public/app'), { authorization })).toBe(200);
    expect(await challengeOf(manifest('team/app'), { authorization })).toEqual([
      401,
      `${realm()},scope="repository:team/app:pull"`,
    ]);
    await using closed = await serve({ accounts, tokens: {} });
    expect(await challengeOf(`${closed.url}/token`)).toEqual([401, expect.stringMatching(/^Basic /)]);
  });

  test('is not for strangers, other services, other methods, and too much', async () => {
    const token = `${server.url}/token`;
    expect(await statusOf(token, { authorization: basic('bob', 'wrong') })).toBe(401);
    expect(await statusOf(token, { authorization: 'Basic ?' })).toBe(401);
    expect(await statusOf(`${token}?service=other`, { authorization: bob })).toBe(400);
    expect(await statusOf(`${token}?service=${service}`, { authorization: bob })).toBe(200);
    expect(await statusOf(token, { method: 'PUT', authorization: bob })).toBe(405);
    const { token: got } = await getToken(server.url, bob);
    expect(await statusOf(token, { authorization: bearer(got) })).toBe(401);
    const long = Array.from({ length: 60 }, (_, index) => `repository:team/${'a'.repeat(200)}${String(index)}:*`);
    expect(await statusOf(`${token}?scope=${long.join('+')}`, { authorization: alice })).toBe(400);
  });

  const post = (form: Readonly<Record<string, string>>): Promise<Response> =>
    send(`${server.url}/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });

  test('speaks OAuth2: a password, then a refresh token', async () => {
    const first = await post({
      grant_type: 'password',
      username: 'bob',
      password: 'builder',
      service,
      client_id: 'test',
      access_type: 'offline',
      scope: 'repository:team/app:pull,push repository:team/secret:pull',
    });
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const { scope, access_token: token, refresh_token: refresh } = (await first.json()) as TokenAnswer;
    expect(scope).toBe('repository:team/app:pull');
    expect(await statusOf(manifest('team/app'), { authorization: bearer(token) })).toBe(200);

    const second = await post({
      grant_type: 'refresh_token',
      refresh_token: refresh,
      scope: 'repository:team/app:pull',
    });
    const again = (await second.json()) as TokenAnswer;
    expect([second.status, again.refresh_token, claimsOf(again.access_token)['sub']]).toEqual([200, refresh, 'bob']);

    expect(await statusOf(`${server.url}/v2/`, { authorization: bearer(refresh) })).toBe(401);
    expect((await post({ grant_type: 'refresh_token', refresh_token: token })).status).toBe(401);
    expect((await post({ grant_type: 'refresh_token', refresh_token: '' })).status).toBe(401);
    expect((await post({ grant_type: 'password', username: 'bob', password: 'wrong' })).status).toBe(401);
    expect((await post({ grant_type: 'password' })).status).toBe(401);
    expect((await post({ grant_type: 'client_credentials' })).status).toBe(400);
    expect(await statusOf(`${server.url}/token`, { method: 'POST', body: '{}' })).toBe(415);
    expect((await post({ grant_type: 'x'.repeat(70_000) })).status).toBe(413);
  });

  test('promises nothing for weeks with a key that ends with the process', async () => {
    await using passing = await serve({ accounts, tokens: {} });
    const answer = await send(`${passing.url}/token?offline_token=true`, { authorization: alice });
    expect(await answer.json()).not.toHaveProperty('refresh_token');
  });

  test('a refresh token ends with its password', async () => {
    const htpasswdFile = join(dir, 'changing');
    const write = (password: string): Promise<void> => writeFile(htpasswdFile, `carol:${hashSync(password, 4)}\n`);
    await write('one');
    const answer = async (): Promise<TokenAnswer> => {
      await using first = await serve({ accounts: { htpasswdFile }, tokens: { keyFile } });
      const got = await send(`${first.url}/token?offline_token=true`, { authorization: basic('carol', 'one') });
      return (await got.json()) as TokenAnswer;
    };
    const { refresh_token: refresh } = await answer();
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh }).toString();
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    await using restarted = await serve({ accounts: { htpasswdFile }, tokens: { keyFile } });
    const use = (): Promise<number> => statusOf(`${restarted.url}/token`, { method: 'POST', headers, body });
    expect(await use()).toBe(200);
    await write('two');
    for (let tries = 0; (await use()) === 200; tries += 1) expect(tries).toBeLessThan(1000);
    expect(await use()).toBe(401);
  });
});

describe('a token', () => {
  test('does what it says, and nothing else', async () => {
    const { token } = await getToken(server.url, alice, 'repository:team/app:pull');
    const authorization = bearer(token);
    expect(await statusOf(manifest('team/app'), { authorization })).toBe(200);
    expect(await challengeOf(manifest('team/app'), { method: 'DELETE', authorization })).toEqual([
      401,
      `${realm()},scope="repository:team/app:delete",error="insufficient_scope"`,
    ]);
    expect(await challengeOf(manifest('team/secret'), { authorization })).toEqual([
      401,
      `${realm()},scope="repository:team/secret:pull",error="insufficient_scope"`,
    ]);
    expect((await challengeOf(`${server.url}/v2/_catalog`, { authorization }))[1]).toContain('insufficient_scope');
  });

  test('does not mount from where it does not say', async () => {
    const config = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
    const mount = async (...scopes: readonly string[]): Promise<number> => {
      const { token } = await getToken(server.url, alice, ...scopes);
      const url = `${server.url}/v2/team/new/blobs/uploads/?mount=${config}&from=team/secret`;
      return statusOf(url, { method: 'POST', authorization: bearer(token) });
    };
    expect(await mount('repository:team/new:pull,push')).not.toBe(201);
    expect(await mount('repository:team/new:pull,push', 'repository:team/secret:pull')).toBe(201);
  });

  test('lists what its account may pull', async () => {
    const list = async (authorization: string): Promise<unknown> => {
      const { token } = await getToken(server.url, authorization, 'registry:catalog:*');
      return (await send(`${server.url}/v2/_catalog`, { authorization: bearer(token) })).json();
    };
    expect(await list(bob)).toEqual({ repositories: ['public/app', 'team/app'] });
    expect(await list(alice)).toEqual({ repositories: ['public/app', 'team/app', 'team/secret'] });
  });

  test('is known to every process with the same key, which is made once, for its owner only', async () => {
    const shared = join(dir, 'shared.key');
    const access = { accounts, tokens: { keyFile: shared } };
    const servers = await Promise.all(Array.from({ length: 4 }, () => serve(access)));
    try {
      const { token } = await getToken(servers[0]?.url ?? '', alice);
      for (const { url } of servers) expect(await statusOf(`${url}/v2/`, { authorization: bearer(token) })).toBe(200);
      expect((await stat(shared)).mode & 0o777).toBe(0o600);
      await using other = await serve({ accounts, tokens: {} });
      expect(await statusOf(`${other.url}/v2/`, { authorization: bearer(token) })).toBe(401);
    } finally {
      await Promise.all(servers.map((one) => one.close()));
    }
  });

  test('a key that is none is refused at start', async () => {
    const file = join(dir, 'bad.key');
    for (const content of ['x', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })]) {
      await writeFile(file, content);
      const refusal = await openAccessControl({ accounts, tokens: { keyFile: file } }).catch((error: unknown) => error);
      expect(isRegistryConfigError(refusal) && [refusal.code, refusal.path]).toEqual(['CONFIG_FILE_INVALID', file]);
    }
  });
});

describe('a forged token', () => {
  const access = [{ type: 'repository', name: 'team/secret', actions: ['pull'] }];
  const now = (): number => Math.floor(Date.now() / 1000);
  const good = (): Record<string, unknown> => ({
    iss: service,
    aud: service,
    sub: 'alice',
    nbf: now(),
    iat: now(),
    exp: now() + 60,
    access,
  });
  const ourKey = async (): Promise<KeyObject> => createPrivateKey(await readFile(keyFile));
  const attacker = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

  interface Forged {
    readonly header?: Readonly<Record<string, unknown>>;
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly key?: KeyObject;
  }
  const sign = async ({ header = {}, claims = {}, key }: Forged): Promise<string> =>
    new SignJWT({ ...good(), ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', ...header })
      .sign(key ?? (await ourKey()), header['crit'] === undefined ? {} : { crit: { unheard: true } });
  const useIt = (token: string): Promise<[number, string | null]> =>
    challengeOf(manifest('team/secret'), { authorization: bearer(token) });
  const refused = [401, expect.stringContaining('error="invalid_token"')];

  test('without anything wrong in it is none: what follows is refused for what it says', async () => {
    expect(await useIt(await sign({}))).toEqual([200, null]);
  });

  const wrong: readonly (readonly [string, () => Forged | Promise<Forged>])[] = [
    ['by another key', () => ({ key: attacker.privateKey })],
    [
      'by the key in its header',
      async () => ({ header: { jwk: await exportJWK(attacker.publicKey) }, key: attacker.privateKey }),
    ],
    ['with a jwk', async () => ({ header: { jwk: await exportJWK(attacker.publicKey) } })],
    ['with a jku', () => ({ header: { jku: 'http://127.0.0.1:1/keys' } })],
    ['with an x5c', () => ({ header: { x5c: ['MIIB'] } })],
    ['with an x5u', () => ({ header: { x5u: 'http://127.0.0.1:1/cert' } })],
    ['with a crit that nobody knows', () => ({ header: { crit: ['unheard'], unheard: true } })],
    ['of another type', () => ({ header: { typ: 'refresh+jwt' } })],
    ['that has expired', () => ({ claims: { exp: now() - 60 } })],
    ['that never expires', () => ({ claims: { exp: undefined } })],
    ['that is not yet valid', () => ({ claims: { nbf: now() + 60 } })],
    ['for another service', () => ({ claims: { aud: 'other' } })],
    ['for nobody', () => ({ claims: { aud: undefined } })],
    ['by another issuer', () => ({ claims: { iss: 'other' } })],
    ['without an issuer', () => ({ claims: { iss: undefined } })],
    ['with access that is none', () => ({ claims: { access: 'everything' } })],
    ['without access', () => ({ claims: { access: undefined } })],
    ['with groups that are none', () => ({ claims: { groups: { admin: true } } })],
    ['that is too long', () => ({ claims: { padding: 'x'.repeat(9300) } })],
  ];
  test.each(wrong)('%s', async (_what, make) => {
    expect(await useIt(await sign(await make()))).toEqual(refused);
  });

  test('with alg none', async () => {
    for (const alg of ['none', 'None', 'NONE', '']) {
      expect(await useIt(`${encode({ alg, typ: 'JWT' })}.${encode(good())}.`)).toEqual(refused);
      expect(await useIt(`${encode({ alg, typ: 'JWT' })}.${encode(good())}`)).toEqual(refused);
    }
  });

  test('with the public key as a shared secret', async () => {
    const publicKey = createPublicKey(await ourKey());
    const secrets = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicKey.export({ format: 'jwk' })),
    ];
    for (const secret of secrets) {
      const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(good())}`;
      const mac = createHmac('sha256', secret).update(signed).digest('base64url');
      expect(await useIt(`${signed}.${mac}`)).toEqual(refused);
    }
  });

  test('with a changed part, and what is no token at all', async () => {
    const [header = '', claims = '', signature = ''] = (await sign({})).split('.');
    const wider = encode({ ...good(), access: [{ type: 'repository', name: 'team/secret', actions: ['*'] }] });
    const zero = Buffer.alloc(64).toString('base64url');
    for (const token of [
      `${header}.${wider}.${signature}`,
      `${header}.${claims}.${zero}`,
      `${header}.${claims}.`,
      `${header}.${claims}`,
      `${header}.${claims}.${signature}.${signature}`,
      `.${claims}.${signature}`,
      'x',
      '..',
      `${encode([])}.${claims}.${signature}`,
      `${Buffer.from('{').toString('base64url')}.${claims}.${signature}`,
    ]) {
      expect([token, ...(await useIt(token))]).toEqual([token, ...refused]);
    }
  });

  test('of an account that the rules do not know is worth what the rules say', async () => {
    expect(
      await statusOf(manifest('team/secret'), { authorization: bearer(await sign({ claims: { sub: 'eve' } })) }),
    ).toBe(403);
  });
});
