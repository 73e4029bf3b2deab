import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hashSync } from 'bcryptjs';

import { isRegistryConfigError, openAccessControl, serveRegistry } from '../src/index.ts';
import type { AccessOptions, RegistryServer } from '../src/index.ts';
import { basic, pushImage, send, statusOf } from './access-steps.ts';

const alice = basic('alice', 'wonder:land');
const bob = basic('bob', 'builder');

/** Until something is so. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 200) throw new Error('it never came to be');
    await sleep(25);
  }
}

/** The most that this thread has worked without looking up; a busy machine doesn't count. */
function watchTurns(): Disposable & { readonly cpuMs: number } {
  let cpuMs = 0;
  let before = process.threadCpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(before);
    cpuMs = Math.max(cpuMs, (user + system) / 1000);
    before = process.threadCpuUsage();
  }, 1);
  return {
    get cpuMs() {
      return cpuMs;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

describe('accounts and rules over the wire', () => {
  let dir: string;
  let htpasswdFile: string;
  let server: RegistryServer;
  const failures: unknown[] = [];
  const serve = (access: AccessOptions): Promise<RegistryServer> =>
    serveRegistry({
      listen: '127.0.0.1:0',
      rootDir: join(dir, 'root'),
      access,
      reloadIntervalMs: 20,
      onFailure: (failure) => failures.push(failure),
    });

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tsc-registry-access-'));
    htpasswdFile = join(dir, 'accounts');
    await writeFile(htpasswdFile, `alice:${hashSync('wonder:land', 5)}\nbob:${hashSync('builder', 5)}\n`);
    server = await serve({
      accounts: { htpasswdFile },
      groups: { team: ['alice'] },
      rules: [
        { repositories: ['team/**'], groups: ['team'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['team/open'], accounts: ['*'], actions: ['pull'] },
        { repositories: ['public/**'], accounts: ['*'], actions: ['pull'] },
        { repositories: ['public/**'], accounts: ['alice'], actions: ['push'] },
      ],
    });
    for (const name of ['team/open', 'team/secret', 'public/app', 'team/a', 'team/z']) {
      expect(await pushImage(server.url, name, alice)).toBe(201);
    }
  });
  afterAll(async () => {
    await server.close();
    await rm(dir, { recursive: true });
  });

  const manifest = (name: string): string => `${server.url}/v2/${name}/manifests/v1`;

  test('who is nobody is told how to be somebody', async () => {
    const answer = await send(manifest('team/open'));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="registry", charset="UTF-8"');
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
  });

  test.each([
    ['nobody', undefined, 'public/app', 401],
    ['bob', bob, 'public/app', 200],
    ['alice', alice, 'team/secret', 200],
    ['bob', bob, 'team/open', 200],
    ['bob', bob, 'team/secret', 403],
    ['bob', bob, 'team/none-such', 403],
    ['alice', alice, 'team/none-such', 404],
    ['a stranger', basic('eve', 'builder'), 'public/app', 401],
    ['a wrong password', basic('alice', 'builder'), 'public/app', 401],
    ['no password', basic('alice', ''), 'public/app', 401],
    ['what is no credential', 'Basic ???', 'public/app', 401],
    ['a token that nobody gave', 'Bearer a.b.c', 'public/app', 401],
  ])('%s', async (_who, authorization, name, status) => {
    expect(await statusOf(manifest(name), { authorization })).toBe(status);
  });

  test('every way to write needs its right', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const uploads = `${server.url}/v2/team/open/blobs/uploads/`;
    for (const [method, url] of [
      ['POST', uploads],
      ['POST', `${uploads}?mount=${digest}&from=team/secret`],
      ['POST', `${uploads}?digest=${digest}`],
      ['PATCH', `${uploads}x`],
      ['PUT', `${uploads}x?digest=${digest}`],
      ['DELETE', `${uploads}x`],
      ['PUT', manifest('team/open')],
      ['PUT', `${server.url}/v2/team/open/manifests/${digest}?tag=v1`],
      ['DELETE', manifest('team/open')],
      ['DELETE', `${server.url}/v2/team/open/blobs/${digest}`],
    ] as const) {
      expect([method, url, await statusOf(url, { method, authorization: bob })]).toEqual([method, url, 403]);
      expect([method, url, await statusOf(url, { method })]).toEqual([method, url, 401]);
    }
    expect(await statusOf(manifest('public/app'), { method: 'DELETE', authorization: alice })).toBe(403);
  });

  test('a mount from where one may not pull is an upload', async () => {
    await using other = await serve({
      accounts: { htpasswdFile },
      rules: [{ repositories: ['mine'], accounts: ['bob'], actions: ['pull', 'push'] }],
    });
    const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
    const mount = (from: string): Promise<number> =>
      statusOf(`${other.url}/v2/mine/blobs/uploads/?mount=${digest}${from}`, { method: 'POST', authorization: bob });
    expect([await mount('&from=team/secret'), await mount('')]).toEqual([202, 202]);
  });

  test('the catalog has what one may pull, in whole pages, and names nothing else', async () => {
    const list = async (authorization: string | undefined, query: string): Promise<unknown> => {
      const answer = await send(`${server.url}/v2/_catalog${query}`, { authorization });
      const { repositories } = (await answer.json()) as { readonly repositories: unknown };
      return [repositories, answer.headers.get('link')];
    };
    expect(await list(bob, '?n=2')).toEqual([['public/app', 'team/open'], null]);
    expect(await list(bob, '?n=1')).toEqual([['public/app'], '</v2/_catalog?n=1&last=public%2Fapp>; rel="next"']);
    expect(await list(bob, '?n=1&last=public%2Fapp')).toEqual([['team/open'], null]);
    expect(await list(bob, '?n=0')).toEqual([[], null]);
    expect(await list(alice, '?n=3')).toEqual([
      ['public/app', 'team/a', 'team/open'],
      '</v2/_catalog?n=3&last=team%2Fopen>; rel="next"',
    ]);
  });

  test('accounts change with the file, a bad file is complained about, and changes nothing', async () => {
    const file = join(dir, 'changing');
    const write = async (content: string): Promise<void> => {
      await writeFile(`${file}.new`, content);
      await rename(`${file}.new`, file);
    };
    const carol = basic('carol', 'one');
    await write(`carol:${hashSync('one', 5)}\n`);
    await using changing = await serve({ accounts: { htpasswdFile: file } });
    const status = (authorization: string): Promise<number> => statusOf(`${changing.url}/v2/`, { authorization });
    expect(await status(carol)).toBe(200);

    failures.length = 0;
    await write('carol:one\n');
    await until(() => failures.length > 0);
    expect(failures).toEqual([expect.objectContaining({ code: 'CONFIG_FILE_INVALID', path: file })]);
    expect(await status(carol)).toBe(200);

    await write(`carol:${hashSync('two', 5)}\n`);
    await until(async () => (await status(basic('carol', 'two'))) === 200);
    expect(await status(carol)).toBe(401);

    await appendFile(file, `dave:${hashSync('three', 5)}\n`);
    await until(async () => (await status(basic('dave', 'three'))) === 200);

    failures.length = 0;
    await rm(file);
    await until(() => failures.length > 0);
    expect(await status(basic('carol', 'two'))).toBe(200);
  });

  test.each([
    ['no file', undefined, 'CONFIG_FILE_UNREADABLE'],
    ['an MD5 hash', 'alice:$apr1$abc$def\n', 'CONFIG_FILE_INVALID'],
    ['an account named as the user of tokens', `oidc:${hashSync('x', 4)}\n`, 'CONFIG_FILE_INVALID'],
  ])('%s is refused at start', async (_what, content, code) => {
    const file = join(dir, 'refused');
    if (content !== undefined) await writeFile(file, content);
    const oidc = [{ issuer: 'https://issuer.example', audience: 'a', claims: {} }];
    const refusal = await openAccessControl({ accounts: { htpasswdFile: file }, oidc }).catch(
      (error: unknown) => error,
    );
    expect(isRegistryConfigError(refusal) && [refusal.code, refusal.path]).toEqual([code, file]);
  });
});

describe('passwords', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tsc-registry-passwords-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  test('keep nobody else waiting while they are compared, and are compared once', async () => {
    const htpasswdFile = join(dir, 'slow');
    // About a second each.
    await writeFile(htpasswdFile, `alice:${hashSync('secret', 12)}\n`);
    const access = { accounts: { htpasswdFile } };
    await using server = await serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root'), access });
    const status = (password: string): Promise<number> =>
      statusOf(`${server.url}/v2/`, { authorization: basic('alice', password) });
    await statusOf(`${server.url}/v2/`);
    using longest = watchTurns();
    const many = Array.from({ length: 20 }, () => status('secret'));
    const wrong = status('wrong');
    expect(await Promise.all([...many, wrong])).toEqual([...many.map(() => 200), 401]);
    expect(longest.cpuMs).toBeLessThan(50);
    const begun = performance.now();
    expect(await status('secret')).toBe(200);
    expect(performance.now() - begun).toBeLessThan(100);
  });

  test('take as long for names that nobody has', async () => {
    const htpasswdFile = join(dir, 'timing');
    await writeFile(htpasswdFile, `alice:${hashSync('secret', 7)}\n`);
    const access = { accounts: { htpasswdFile } };
    await using server = await serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root'), access });
    const time = async (user: string): Promise<number> => {
      const begun = performance.now();
      await statusOf(`${server.url}/v2/`, { authorization: basic(user, `wrong ${String(Math.random())}`) });
      return performance.now() - begun;
    };
    await time('alice');
    const [known, unknown]: [number[], number[]] = [[], []];
    for (let round = 0; round < 20; round += 1) {
      known.push(await time('alice'));
      unknown.push(await time('nobody'));
    }
    expect(Math.min(...unknown) / Math.min(...known)).toBeGreaterThan(0.5);
    expect(Math.min(...unknown) / Math.min(...known)).toBeLessThan(2);
  });

  test('too many at once are told to come back', async () => {
    const htpasswdFile = join(dir, 'many');
    await writeFile(htpasswdFile, `alice:${hashSync('secret', 8)}\n`);
    const access = { accounts: { htpasswdFile } };
    await using server = await serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root'), access });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        send(`${server.url}/v2/`, { authorization: basic('alice', String(index)) }),
      ),
    );
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect(answers.find(({ status }) => status === 429)?.headers.get('retry-after')).toBe('2');
  });
});
