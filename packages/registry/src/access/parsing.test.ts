import { describe, expect, test } from '@jest/globals';

import { isRegistryConfigError } from '../errors.ts';
import { parseAuthorization } from './authorization.ts';
import { checkAccessOptions } from './checked-options.ts';
import { commonName, onlyName } from './client-certificate.ts';
import { parseHtpasswd } from './htpasswd.ts';
import { compileRules } from './rules.ts';
import { formatScope, isGranted, narrow, parseScopes, scopesOf } from './scopes.ts';

const BCRYPT = `$2y$05$${'a'.repeat(53)}`;
const basic = (text: string | Buffer): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('htpasswd', () => {
  test('has accounts, comments and empty lines', () => {
    expect([...parseHtpasswd(`# people\n\nalice:${BCRYPT}\r\nbob:${BCRYPT}\n`, 'f')]).toEqual([
      ['alice', BCRYPT],
      ['bob', BCRYPT],
    ]);
  });

  test.each([
    ['alice:$apr1$x$y', 'line 1: account "alice": its hash is MD5, and only bcrypt is safe: make it with htpasswd -B'],
    ['\nalice:{SHA}abc=', 'line 2: account "alice": its hash is SHA-1'],
    ['alice:$6$salt$x', 'crypt with SHA-2'],
    ['alice:secret', 'crypt, or plain text'],
    ['alice:$2y$05$short', 'a broken bcrypt one'],
    [`alice:$2y$31$${'a'.repeat(53)}`, 'a bcrypt cost of 31: want 4 to 15'],
    ['alice', 'want name:hash'],
    [`:${BCRYPT}`, 'want name:hash'],
    [`a\u0007:${BCRYPT}`, 'control characters'],
    [`alice:${BCRYPT}\nalice:${BCRYPT}`, 'line 2: account "alice" is there twice'],
  ])('%j is refused', (content, why) => {
    const parse = (): unknown => parseHtpasswd(content, '/f');
    expect(parse).toThrow(expect.objectContaining({ code: 'CONFIG_FILE_INVALID', path: '/f' }));
    expect(parse).toThrow(why);
  });

  test('no message has the hash in it', () => {
    expect(() => parseHtpasswd('alice:hunter2', '/f')).not.toThrow('hunter2');
  });
});

describe('Authorization', () => {
  test.each([
    [undefined, { type: 'none' }],
    [basic('alice:a:b'), { type: 'basic', user: 'alice', password: 'a:b' }],
    [basic('ä:ö').replace('Basic', 'bASIC'), { type: 'basic', user: 'ä', password: 'ö' }],
    ['Bearer a.b-c', { type: 'bearer', token: 'a.b-c' }],
    [basic('alice'), { type: 'malformed' }],
    [basic(Buffer.from([0xff, 0x3a, 0x61])), { type: 'malformed' }],
    [basic('a\0b:c'), { type: 'malformed' }],
    ['Basic !!!', { type: 'malformed' }],
    ['Basic', { type: 'malformed' }],
    ['Bearer a b', { type: 'malformed' }],
    ['Digest x', { type: 'malformed' }],
  ])('%j', (header, authorization) => {
    expect(parseAuthorization(header)).toEqual(authorization);
  });
});

describe('scopes', () => {
  test('come several in one, with colons and classes', () => {
    expect(
      parseScopes(['repository:a/b:pull,push  registry:catalog:*', 'repository(plugin):host:5000/x:pull', 'x', 'a:b']),
    ).toEqual([
      { type: 'repository', name: 'a/b', actions: ['pull', 'push'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
      { type: 'repository', name: 'host:5000/x', actions: ['pull'] },
    ]);
    expect(parseScopes([Array(1000).fill('repository:a:pull').join(' ')])).toHaveLength(50);
  });

  test('are narrowed to what one may do', () => {
    const rules = compileRules({
      rules: [
        { repositories: ['a'], accounts: ['alice'], actions: ['pull', 'push'] },
        { repositories: ['b'], accounts: ['alice'], actions: ['pull'] },
      ],
    });
    const ask = (...texts: readonly string[]): readonly string[] =>
      narrow(parseScopes(texts), rules, { account: 'alice', groups: [] }).map((scope) => formatScope(scope));
    expect(ask('repository:a:push,delete', 'repository:a:pull')).toEqual(['repository:a:push,pull']);
    expect(ask('repository:a:*')).toEqual(['repository:a:pull,push']);
    expect(ask('repository:b:push', 'repository:c:pull', 'repository:../a:pull', 'other:a:pull')).toEqual([]);
    expect(ask('registry:catalog:*')).toEqual(['registry:catalog:*']);
  });

  test('grant what they say, and nothing else', () => {
    const scopes = parseScopes(['repository:a:pull', 'repository:a:push', 'repository:b:*']);
    const grants = (name: string, ...actions: readonly ('pull' | 'push' | 'delete')[]): boolean =>
      isGranted(scopes, { resource: 'repository', name, actions });
    expect([grants('a', 'pull', 'push'), grants('b', 'delete'), isGranted(scopes, { resource: 'registry' })]).toEqual([
      true,
      true,
      true,
    ]);
    expect([grants('a', 'delete'), grants('ab', 'pull'), isGranted(scopes, { resource: 'catalog' })]).toEqual([
      false,
      false,
      false,
    ]);
    expect(scopesOf([{ resource: 'catalog' }]).map((scope) => formatScope(scope))).toEqual(['registry:catalog:*']);
  });
});

describe('names in certificates', () => {
  test.each([
    ['CN=alice', 'alice'],
    ['C=DE\nO=team\nCN=alice', 'alice'],
    ['CN=alice\nCN=bob', undefined],
    ['CN=alice + O=team', undefined],
    ['O=x\\0ACN=alice', undefined],
    ['CN=a\\,b', undefined],
    ['O=team', undefined],
  ])('%j is %s', (subject, name) => {
    expect(commonName(subject)).toBe(name);
  });

  test.each([
    ['URI:spiffe://acme/app', 'URI', 'spiffe://acme/app'],
    ['DNS:a, URI:spiffe://acme/app', 'URI', 'spiffe://acme/app'],
    ['URI:spiffe://acme/app, URI:spiffe://acme/admin', 'URI', undefined],
    ['URI:"spiffe://acme/a, DNS:b"', 'DNS', undefined],
    ['DNS:"a, DNS:admin"', 'DNS', undefined],
    [undefined, 'DNS', undefined],
  ])('%j has the %s %s', (names, kind, name) => {
    expect(onlyName(names, kind)).toBe(name);
  });
});

describe('options', () => {
  const accounts = { htpasswdFile: 'f' };
  const rule = { repositories: ['**'], accounts: ['*'], actions: ['pull'] };

  test('are taken as they are', () => {
    const options = {
      accounts,
      tokens: { realm: 'https://auth.example/token', lifetimeSeconds: 60 },
      oidc: [{ issuer: 'https://issuer.example', audience: 'a', claims: { owner: ['acme'] }, prefix: '' }],
      groups: { team: ['alice'] },
      rules: [rule],
      anonymous: ['pull'],
    };
    expect(checkAccessOptions(options)).toEqual(options);
  });

  test.each([
    ['x', 'access: want a map, not "x"'],
    [{}, 'access: nobody is let in: add accounts, oidc, clientCertificates or anonymous'],
    [{ rules: [rule] }, 'nobody is let in'],
    [{ tokens: {}, anonymous: ['pull'] }, 'access.tokens: nobody could get a token'],
    [{ accounts, anonymous: ['pull'] }, 'access.anonymous: clients with and without password need tokens'],
    [{ account: accounts }, 'access.account: want one of accounts, tokens'],
    [{ accounts: { htpasswdFile: '' } }, 'access.accounts.htpasswdFile: want a text, not ""'],
    [{ accounts: {} }, 'access.accounts.htpasswdFile: want a text, not undefined'],
    [{ accounts, rules: [{ ...rule, actions: ['write'] }] }, 'access.rules[0].actions[0]: want pull or push or delete'],
    [{ accounts, rules: [{ ...rule, actions: [] }] }, 'access.rules[0].actions: want at least one'],
    [{ accounts, rules: [{ ...rule, repositories: [''] }] }, 'access.rules[0].repositories[0]: want a text'],
    [{ accounts, rules: [{ ...rule, accounts: [] }] }, 'access.rules[0]: want accounts, groups or anonymous'],
    [{ accounts, tokens: { lifetimeSeconds: 5 } }, 'access.tokens.lifetimeSeconds: want an integer of at least 60'],
    [{ accounts, tokens: { service: 'a"b' } }, 'access.tokens.service: want printable ASCII'],
    [{ accounts, tokens: { realm: 'ftp://x' } }, 'access.tokens.realm: want a URL'],
    [
      { oidc: [{ issuer: 'http://issuer.example', audience: 'a', claims: {} }] },
      'access.oidc[0].issuer: want an https URL',
    ],
    [{ oidc: [{ issuer: 'https://issuer.example', audience: 'a' }] }, 'access.oidc[0].claims: want a map'],
    [
      { delegatedTokens: { realm: 'https://a/', service: 's', issuer: 'i', publicKeysFile: 'f' }, rules: [rule] },
      'access.rules: access.delegatedTokens leaves everything to another token server',
    ],
  ])('%j are refused', (options, why) => {
    const refusal = (() => {
      try {
        return checkAccessOptions(options);
      } catch (error) {
        return error;
      }
    })();
    expect(isRegistryConfigError(refusal) && [refusal.code, refusal.message]).toEqual([
      'CONFIG_INVALID',
      expect.stringContaining(why),
    ]);
  });
});
