import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openRegistryClient } from '@tsc/image';
import { hashSync } from 'bcryptjs';

import { isRegistryConfigError, serveRegistry } from '../src/index.ts';
import type { AccessOptions, RegistryServer, ServeOptions, TlsOptions } from '../src/index.ts';
import { makeAuthority, makeCertificate, makeRevocationList, read } from './access-certificates.ts';
import type { TestCertificate } from './access-certificates.ts';
import { basic } from './access-steps.ts';

const run = promisify(execFile);
const SERVER_NAMES = 'DNS:localhost,IP:127.0.0.1';

let dir: string;
let authority: TestCertificate;
let pair: TestCertificate;
let accounts: { readonly htpasswdFile: string };
const failures: unknown[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tsc-registry-tls-'));
  authority = makeAuthority(dir, 'authority');
  pair = makeCertificate(dir, 'server', { authority, subject: '/CN=server', names: SERVER_NAMES });
  accounts = { htpasswdFile: join(dir, 'accounts') };
  await writeFile(accounts.htpasswdFile, `alice:${hashSync('wonderland', 4)}\n`);
});
afterAll(() => rm(dir, { recursive: true }));
beforeEach(() => {
  failures.length = 0;
});

const serve = (options: Partial<ServeOptions>): Promise<RegistryServer> =>
  serveRegistry({
    listen: '127.0.0.1:0',
    rootDir: join(dir, 'root'),
    reloadIntervalMs: 20,
    onFailure: (failure) => failures.push(failure),
    ...options,
  });

type PeerSocket = Pick<TLSSocket, 'getPeerCertificate'>;

interface Asked {
  readonly client?: TestCertificate | undefined;
  readonly authorization?: string;
  readonly path?: string;
  readonly agent?: Agent;
}

interface Got {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly body: string;
  /** Serial number of the server's certificate. */
  readonly serial: string;
}

const ask = (url: string, { client, authorization, path = '/v2/', agent }: Asked = {}): Promise<Got> =>
  new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}${path}`,
      {
        ca: read(authority).cert,
        agent: agent ?? false,
        headers: authorization === undefined ? {} : { authorization },
        ...(client === undefined ? {} : read(client)),
      },
      (answer) => {
        const chunks: Buffer[] = [];
        const serial = (answer.socket as unknown as PeerSocket).getPeerCertificate().serialNumber;
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            challenge: answer.headers['www-authenticate'],
            body: Buffer.concat(chunks).toString(),
            serial,
          }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });

describe('TLS', () => {
  test('curl and our client trust it by its authority, and are sent to its token server by https', async () => {
    await using server = await serve({ tls: pair, access: { accounts, tokens: {} } });
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const { stdout } = await run('curl', ['-s', '-i', '--cacert', authority.certFile, `${server.url}/v2/`]);
    expect(stdout).toMatch(/^HTTP\/1\.1 401 /);
    expect(stdout).toContain(`Bearer realm="${server.url}/token"`);
    await expect(run('curl', ['-sS', `${server.url}/v2/`])).rejects.toThrow('certificate');
    await expect(
      run('curl', ['-sS', '--cacert', authority.certFile, '--tls-max', '1.1', `${server.url}/v2/`]),
    ).rejects.toThrow();
    await using client = openRegistryClient({
      registries: { hosts: { [server.domain]: { ca: authority.certFile } } },
    });
    await client.verifyCredential(server.domain, { username: 'alice', password: 'wonderland' });
  });

  test('a client that speaks plain HTTP, or nothing, harms nobody', async () => {
    await using server = await serve({ tls: pair });
    await expect(fetch(server.url.replace('https', 'http'))).rejects.toThrow();
    expect((await ask(server.url)).status).toBe(200);
  });

  test('the oldest version can be the newest', async () => {
    await using server = await serve({ tls: { ...pair, minVersion: 'TLSv1.3' } });
    const curl = ['-sS', '--cacert', authority.certFile, `${server.url}/v2/`];
    expect((await run('curl', curl)).stdout).toBe('{}');
    await expect(run('curl', ['--tls-max', '1.2', ...curl])).rejects.toThrow();
  });

  test('a new pair is taken when the files change, and a bad one is complained about, and not used', async () => {
    const files: TlsOptions = { certFile: join(dir, 'live.crt'), keyFile: join(dir, 'live.key') };
    const install = async (path: string, from: string): Promise<void> => {
      await copyFile(from, `${path}.new`);
      await rename(`${path}.new`, path);
    };
    await install(files.certFile, pair.certFile);
    await install(files.keyFile, pair.keyFile);
    await using server = await serve({ tls: files });
    const first = (await ask(server.url)).serial;

    await writeFile(join(dir, 'nonsense'), 'nonsense');
    await install(files.certFile, join(dir, 'nonsense'));
    while (failures.length === 0) await sleep(10);
    expect(failures).toEqual([expect.objectContaining({ code: 'CONFIG_FILE_INVALID', path: files.certFile })]);
    expect((await ask(server.url)).serial).toBe(first);

    const next = makeCertificate(dir, 'next', { authority, subject: '/CN=server', names: SERVER_NAMES });
    await install(files.certFile, next.certFile);
    while (failures.length === 1) await sleep(10);
    expect(failures[1]).toMatchObject({ message: `${files.keyFile}: it is not the key of ${files.certFile}` });
    expect((await ask(server.url)).serial).toBe(first);

    await install(files.keyFile, next.keyFile);
    for (let tries = 0; (await ask(server.url)).serial === first; tries += 1) expect(tries).toBeLessThan(1000);
    expect(failures).toHaveLength(2);
  });

  test.each([
    ['no certificate', { certFile: 'none' }, 'CONFIG_FILE_UNREADABLE'],
    ['the key as certificate', { certFile: 'server.key' }, 'CONFIG_FILE_INVALID'],
    ['another key', { keyFile: 'authority.key' }, 'CONFIG_FILE_INVALID'],
    ['clients of no authority', { clientCertificates: 'required' }, 'CONFIG_INVALID'],
    ['an authority for no clients', { clientCaFile: 'authority.crt' }, 'CONFIG_INVALID'],
    ['clients without access', { clientCertificates: 'required', clientCaFile: 'authority.crt' }, 'CONFIG_INVALID'],
  ] as const)('%s is refused at start', async (_what, change, code) => {
    const paths = Object.entries(change).map(([key, value]) => [key, key.endsWith('File') ? join(dir, value) : value]);
    const tls = { ...pair, ...(Object.fromEntries(paths) as Partial<TlsOptions>) };
    const refusal = await serve({ tls }).catch((error: unknown) => error);
    expect(isRegistryConfigError(refusal) && refusal.code).toBe(code);
  });
});

describe('client certificates', () => {
  const client = (name: string, subject: string, names: string = SERVER_NAMES): TestCertificate =>
    makeCertificate(dir, name, { authority, subject, names });
  const tls = (clientCertificates: 'required' | 'optional'): TlsOptions => ({
    ...pair,
    clientCaFile: authority.certFile,
    clientCertificates,
  });
  const rules: AccessOptions['rules'] = [{ repositories: ['mine'], accounts: ['alice'], actions: ['pull'] }];
  const path = '/v2/mine/tags/list';

  test('are accounts, and when they are optional, so are passwords', async () => {
    const access = { accounts, clientCertificates: {}, tokens: {}, rules };
    await using server = await serve({ tls: tls('optional'), access });
    const alice = client('alice', '/O=team/CN=alice');
    expect((await ask(server.url, { client: alice, path })).status).toBe(404);
    expect((await ask(server.url, { client: client('bob', '/CN=bob'), path })).status).toBe(403);
    expect((await ask(server.url, { path })).status).toBe(401);
    expect((await ask(server.url, { path, authorization: basic('alice', 'wonderland') })).status).toBe(404);
    // What is sent is what counts.
    expect((await ask(server.url, { client: alice, path, authorization: basic('alice', 'x') })).status).toBe(401);
    const { body } = await ask(server.url, { client: alice, path: '/token?scope=repository:mine:pull,push' });
    const { token } = JSON.parse(body) as { readonly token: string };
    expect((await ask(server.url, { path, authorization: `Bearer ${token}` })).status).toBe(404);

    const joined = client('joined', '/CN=alice+CN=bob');
    const other = makeAuthority(dir, 'other');
    const stranger = makeCertificate(dir, 'stranger', { authority: other, subject: '/CN=alice', names: SERVER_NAMES });
    for (const bad of [joined, stranger]) expect((await ask(server.url, { client: bad, path })).status).toBe(401);
  });

  test('when they are required, nobody else gets as far as a request', async () => {
    await using server = await serve({ tls: tls('required'), access: { clientCertificates: {}, rules } });
    const other = makeAuthority(dir, 'another');
    const stranger = makeCertificate(dir, 'stranger', { authority: other, subject: '/CN=alice', names: SERVER_NAMES });
    await expect(ask(server.url)).rejects.toThrow();
    await expect(ask(server.url, { client: stranger })).rejects.toThrow();
    expect((await ask(server.url, { client: client('alice', '/CN=alice'), path })).status).toBe(404);
  });

  test('may name workloads as SPIFFE does', async () => {
    const account = 'spiffe://acme.example/build/app';
    const access: AccessOptions = {
      clientCertificates: { account: 'uri' },
      rules: [{ repositories: ['mine'], accounts: ['spiffe://acme.example/build/*'], actions: ['pull'] }],
    };
    await using server = await serve({ tls: tls('optional'), access });
    const status = async (name: string, names: string): Promise<number> =>
      (await ask(server.url, { client: client(name, '/CN=alice', names), path })).status;
    expect(await status('workload', `URI:${account}`)).toBe(404);
    expect(await status('elsewhere', 'URI:spiffe://acme.example/deploy/app')).toBe(403);
    expect(await status('double', `URI:${account},URI:spiffe://acme.example/other`)).toBe(403);
    expect(await status('nameless', SERVER_NAMES)).toBe(403);
    // Nothing that can be sent would help, so no challenge is made.
    expect(await ask(server.url, { path })).toMatchObject({ status: 403, challenge: undefined });
  });

  test('are asked for anew when the authority is another one, also in a session that goes on', async () => {
    const clientCaFile = join(dir, 'clients.crt');
    await copyFile(authority.certFile, clientCaFile);
    const access = { clientCertificates: {}, rules };
    await using server = await serve({ tls: { ...tls('optional'), clientCaFile }, access });
    using agent = Object.assign(new Agent({ keepAlive: false, maxCachedSessions: 10 }), {
      [Symbol.dispose](this: Agent): void {
        this.destroy();
      },
    });
    const alice = client('alice', '/CN=alice');
    const status = async (): Promise<number> => (await ask(server.url, { client: alice, path, agent })).status;
    expect([await status(), await status()]).toEqual([404, 404]);
    await copyFile(makeAuthority(dir, 'successor').certFile, clientCaFile);
    for (let tries = 0; (await status()) !== 403; tries += 1) expect(tries).toBeLessThan(1000);
  });

  test('that were taken back are for nobody', async () => {
    const [alice, gone] = [client('alice', '/CN=alice'), client('gone', '/CN=alice')];
    const clientCrlFile = makeRevocationList(dir, authority, [gone]);
    const access = { accounts, clientCertificates: {}, rules };
    await using server = await serve({ tls: { ...tls('optional'), clientCrlFile }, access });
    expect((await ask(server.url, { client: alice, path })).status).toBe(404);
    const answer = await ask(server.url, { client: gone, path });
    expect([answer.status, answer.body]).toEqual([401, expect.stringContaining('CERT_REVOKED')]);
  });

  test('are of no use without TLS that asks for them', async () => {
    const refusal = await serve({ tls: pair, access: { clientCertificates: {} } }).catch((error: unknown) => error);
    expect(isRegistryConfigError(refusal) && refusal.option).toBe('access.clientCertificates');
  });
});
