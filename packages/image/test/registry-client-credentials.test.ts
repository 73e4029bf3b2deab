import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openCredentialFile, type Credential, type CredentialFile } from '../src/index.ts';
import { scratch, type Scratch } from './scratch.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

let dir: Scratch;
let path: string;
beforeEach(() => {
  dir = scratch();
  path = dir.at('config.json');
});
afterEach(() => dir[Symbol.dispose]());

const write = (config: unknown): CredentialFile => {
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return openCredentialFile(path, { helperDirs: [dir.dir], helperTimeoutMs: 2000 });
};
const read = (): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

/** A helper that keeps one secret per file beside it, and notes how it was called. */
const installHelper = (name: string, script = HELPER): string => {
  const file = dir.at(`docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\ncd "${dir.dir}"\n${script}`);
  chmodSync(file, 0o755);
  return file;
};
const HELPER = `
read -r line || :
echo "$1 $line" >> calls
case "$1" in
get) [ -f kept ] || { echo "credentials not found in native keychain"; exit 1; }; cat kept;;
store) echo "$line" > kept;;
erase) rm kept;;
esac
`;
const calls = (): string => readFileSync(dir.at('calls'), 'utf8');

describe('a credential file', () => {
  test.each<[string, object, Credential | undefined]>([
    ['auth', { auth: base64('alice:a:b') }, { username: 'alice', password: 'a:b' }],
    ['auth padded with NULs', { auth: base64('alice:secret\0\0') }, { username: 'alice', password: 'secret' }],
    ['a name and a password', { username: 'alice', password: 'secret' }, { username: 'alice', password: 'secret' }],
    ['an identity token', { auth: base64('alice:'), identitytoken: 'it' }, { identityToken: 'it' }],
    ['a registry token', { registrytoken: 'rt' }, { registryToken: 'rt' }],
    ['nothing', {}, undefined],
    ['an auth without a colon', { auth: base64('alice') }, undefined],
    ['members of other kinds', { auth: 7, username: [], identitytoken: null }, undefined],
  ])('gives %s', async (_, entry, expected) => {
    await expect(write({ auths: { 'r.example': entry } }).credentialFor('r.example')).resolves.toEqual(expected);
  });

  test('gives nothing to other hosts, and the closest entry to a repository', async () => {
    const file = write({
      auths: {
        'r.example': { auth: base64('host:1') },
        'r.example/team': { auth: base64('team:2') },
        'docker.io': { auth: base64('hub:3') },
      },
    });
    await expect(file.credentialFor('r.example')).resolves.toMatchObject({ username: 'host' });
    await expect(file.credentialFor('r.example', { path: 'team/app' })).resolves.toMatchObject({ username: 'team' });
    await expect(file.credentialFor('r.example', { path: 'teams/app' })).resolves.toMatchObject({ username: 'host' });
    await expect(file.credentialFor('r.example:5000')).resolves.toBeUndefined();
    await expect(file.credentialFor('other.example')).resolves.toBeUndefined();
  });

  test('that is not there or empty has none; the fallbacks are asked then', async () => {
    await expect(openCredentialFile(dir.at('none/config.json')).credentialFor('r.example')).resolves.toBeUndefined();
    const second = dir.at('auth.json');
    writeFileSync(second, JSON.stringify({ auths: { 'r.example': { auth: base64('second:x') } } }));
    writeFileSync(path, '');
    const file = openCredentialFile(path, { fallbackPaths: [dir.at('nothing'), second] });
    await expect(file.credentialFor('r.example')).resolves.toMatchObject({ username: 'second' });
  });

  test.each([
    ['{"auths": {"r.example": {"auth": "c2VjcmV0"', 'not JSON'],
    ['["secret"]', 'want an object'],
    ['{"auths": ["secret"]}', 'auths: want an object'],
    ['{"auths": {"r.example": "secret"}}', 'auths: \\"r.example\\": want an object'.replaceAll('\\', '')],
    ['{"credsStore": 7}', 'credsStore: want a name'],
    ['{"credHelpers": {"r.example": 7}}', 'credHelpers: want names'],
    ['{"credsStore": "../../bin/sh"}', 'no name of a helper'],
  ])('%s is an error that does not quote it', async (text, why) => {
    const failure: unknown = await write(text)
      .credentialFor('r.example')
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(failure).toMatchObject({ code: 'CREDENTIALS_FAILED', message: expect.stringContaining(why) });
    expect(`${String(failure)}${JSON.stringify(failure)}`).not.toMatch(/secret|c2VjcmV0/);
    expect((failure as Error).cause).toBeUndefined();
  });

  test('is written with mode 0600, whole, and with what else was in it', async () => {
    const file = write({
      HttpHeaders: { 'X-A': 'b' },
      auths: { 'https://other.example/v1/': { auth: 'x' } },
      psFormat: 'table',
    });
    chmodSync(path, 0o644);
    await file.store('r.example:5000', { username: 'alice', password: 'secret' });
    await file.store('docker.io', { identityToken: 'it' });
    expect(read()).toEqual({
      HttpHeaders: { 'X-A': 'b' },
      auths: {
        'https://other.example/v1/': { auth: 'x' },
        'r.example:5000': { auth: base64('alice:secret') },
        'https://index.docker.io/v1/': { identitytoken: 'it' },
      },
      psFormat: 'table',
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(file.credentialFor('r.example:5000')).resolves.toEqual({ username: 'alice', password: 'secret' });
    await expect(file.credentialFor('docker.io')).resolves.toEqual({ identityToken: 'it' });
    await expect(file.erase('docker.io')).resolves.toBe(true);
    await expect(file.erase('docker.io')).resolves.toBe(false);
    expect(Object.keys(read()['auths'] as object)).toEqual(['https://other.example/v1/', 'r.example:5000']);
    expect(readdirSync(dir.dir)).toEqual(['config.json']);
  });

  test('replaces every spelling of a host, is made with its directory, and keeps a link', async () => {
    const nested = dir.at('new/docker/config.json');
    const file = openCredentialFile(nested);
    await file.store('docker.io', { registryToken: 'rt' });
    expect(statSync(join(nested, '..')).mode & 0o777).toBe(0o700);
    await expect(file.credentialFor('docker.io')).resolves.toEqual({ registryToken: 'rt' });
    write({ auths: { 'index.docker.io': { auth: base64('old:1') }, 'docker.io': { auth: base64('older:2') } } });
    const link = dir.at('link.json');
    symlinkSync(path, link);
    await openCredentialFile(link).store('docker.io', { username: 'new', password: 'p' });
    expect(Object.keys(read()['auths'] as object)).toEqual(['https://index.docker.io/v1/']);
    expect(readFileSync(link, 'utf8')).toBe(readFileSync(path, 'utf8'));
  });

  test('that cannot be written says so', async () => {
    writeFileSync(dir.at('file'), '');
    const file = openCredentialFile(dir.at('file/config.json'));
    await expect(file.store('r.example', { registryToken: 'rt' })).rejects.toMatchObject({
      code: 'CREDENTIALS_FAILED',
    });
  });
});

describe('a credential helper', () => {
  test('keeps, gives and forgets what the file then does not have', async () => {
    installHelper('test');
    const file = write({ credsStore: 'test', auths: { 'r.example': { auth: base64('plain:text') } } });
    await expect(file.store('r.example', { username: 'alice', password: 'secret' })).resolves.toBe('test');
    expect(read()).toEqual({ credsStore: 'test', auths: { 'r.example': {} } });
    await expect(file.credentialFor('r.example')).resolves.toEqual({ username: 'alice', password: 'secret' });
    await expect(file.erase('r.example')).resolves.toBe(true);
    await expect(file.credentialFor('r.example')).resolves.toBeUndefined();
    expect(calls()).toBe(
      [
        'store {"ServerURL":"r.example","Username":"alice","Secret":"secret"}',
        'get r.example',
        'erase r.example',
        'get r.example',
        '',
      ].join('\n'),
    );
  });

  test('is named for a host or for all; Docker Hub has its old name', async () => {
    installHelper(
      'hub',
      'read -r url || :; echo "{\\"ServerURL\\":\\"$url\\",\\"Username\\":\\"hub\\",\\"Secret\\":\\"$url\\"}"',
    );
    installHelper('all', 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"it\\"}"');
    const file = write({
      credsStore: 'all',
      credHelpers: { 'docker.io': 'hub', 'none.example': '' },
      auths: { 'none.example': { auth: base64('file:x') } },
    });
    await expect(file.credentialFor('docker.io')).resolves.toEqual({
      username: 'hub',
      password: 'https://index.docker.io/v1/',
    });
    await expect(file.credentialFor('r.example')).resolves.toEqual({ identityToken: 'it' });
    await expect(file.credentialFor('none.example')).resolves.toMatchObject({ username: 'file' });
  });

  test('that has none leaves it to the file', async () => {
    installHelper('test');
    const file = write({ credsStore: 'test', auths: { 'r.example': { auth: base64('file:x') } } });
    await expect(file.credentialFor('r.example')).resolves.toMatchObject({ username: 'file' });
  });

  test.each([
    ['fails', 'echo "it is locked"; exit 2', 'exited with 2: "it is locked"'],
    ['says no JSON', 'echo secret', 'something else than Username and Secret'],
    ['says too much', 'head -c 1000000 /dev/zero', 'get'],
    ['never ends', 'exec sleep 60', 'no answer in 2 seconds'],
  ])('that %s is an error, and nobody else is asked', async (_, script, why) => {
    installHelper('test', script);
    const file = write({ credsStore: 'test', auths: { 'r.example': { auth: base64('file:x') } } });
    const failure: unknown = await file.credentialFor('r.example').then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'CREDENTIALS_FAILED', message: expect.stringContaining(why) });
    expect(String(failure)).not.toContain('secret');
  });

  test('ends when the call is aborted', async () => {
    installHelper('test', 'exec sleep 60');
    const file = write({ credsStore: 'test' });
    const signal = AbortSignal.timeout(100);
    await expect(file.credentialFor('r.example', { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('is run from the named directories only, and not where others can write', async () => {
    const cwd = process.cwd();
    const helper = installHelper('test', 'touch ran');
    write({ credsStore: 'test' });
    const run = (helperDirs: readonly string[]): Promise<unknown> =>
      openCredentialFile(path, { helperDirs }).credentialFor('r.example');
    process.chdir(dir.dir);
    try {
      for (const dirs of [[], ['.'], [dir.at('other')]]) {
        await expect(run(dirs)).rejects.toMatchObject({
          code: 'CREDENTIALS_FAILED',
          message: expect.stringContaining('not found'),
        });
      }
    } finally {
      process.chdir(cwd);
    }
    chmodSync(helper, 0o757);
    await expect(run([dir.dir])).rejects.toMatchObject({ message: expect.stringContaining('everybody can write') });
    chmodSync(helper, 0o755);
    mkdirSync(dir.at('open'));
    chmodSync(dir.at('open'), 0o777);
    symlinkSync(helper, dir.at('open/docker-credential-test'));
    await expect(run([dir.at('open')])).rejects.toMatchObject({
      message: expect.stringContaining('everybody can write'),
    });
    expect(existsSync(dir.at('ran'))).toBe(false);
  });
});
