import { describe, expect, test } from '@jest/globals';

import { parseChallenges } from './challenge.ts';
import { registryHost } from './host-name.ts';
import { isTrustedRealm, realmOf, type RealmRules } from './token.ts';

const rules = (domain: string, more: Partial<RealmRules> = {}): RealmRules => ({
  origin: new URL(`https://${registryHost(domain)}`).origin,
  domain,
  tokenHosts: [],
  plainHttp: false,
  ...more,
});

describe('the credential', () => {
  test.each([
    ['docker.io', 'https://auth.docker.io/token', true],
    ['docker.io', 'https://auth.docker.io.evil.example/token', false],
    ['docker.io', 'https://auth.docker.io:444/token', false],
    ['docker.io', 'http://auth.docker.io/token', false],
    ['registry.gitlab.com', 'https://gitlab.com/jwt/auth', true],
    ['ghcr.io', 'https://ghcr.io/token', true],
    ['ghcr.io:443', 'https://ghcr.io/token', true],
    ['r.example', 'https://auth.docker.io/token', false],
    ['r.example', 'https://r.example:8443/token', false],
    ['r.example:5000', 'https://r.example:5000/token', true],
    ['r.example', 'https://auth.example/token', false],
    ['r.example', 'https://evil-r.example/token', false],
  ])('of %s may go to %s: %p', (domain, realm, expected) => {
    expect(isTrustedRealm(new URL(realm), rules(domain))).toBe(expected);
  });

  test('goes where tokenHosts says, port by port', () => {
    const trusting = rules('r.example', { tokenHosts: ['auth.example', 'local.example:8443'] });
    expect(isTrustedRealm(new URL('https://auth.example/a'), trusting)).toBe(true);
    expect(isTrustedRealm(new URL('https://auth.example:8443/a'), trusting)).toBe(false);
    expect(isTrustedRealm(new URL('https://local.example:8443/a'), trusting)).toBe(true);
  });
});

describe('realmOf', () => {
  const realm = (url: string, given: RealmRules): string => {
    const [challenge] = parseChallenges([`Bearer realm="${url}"`]);
    if (challenge === undefined) throw new Error('no challenge');
    return realmOf(challenge, given).href;
  };
  const plain = (origin: string, more: Partial<RealmRules> = {}): RealmRules => rules('r', { origin, ...more });

  test('takes HTTPS, and drops a password in it', () => {
    expect(realm('https://u:p@auth.example/t?x=1#y', rules('r.example'))).toBe('https://auth.example/t?x=1');
  });

  test('takes plain HTTP only from a registry over plain HTTP, at its own origin, at home or where configured', () => {
    expect(() => realm('http://r.example/t', rules('r.example'))).toThrow(/plain HTTP/);
    expect(() => realm('http://127.0.0.1/t', rules('r.example', { plainHttp: true }))).toThrow(/plain HTTP/);
    expect(realm('http://r.example/t', plain('http://r.example'))).toBe('http://r.example/t');
    expect(() => realm('http://auth.example/t', plain('http://r.example'))).toThrow(/plain HTTP/);
    expect(() => realm('http://127.0.0.1:9/t', plain('http://r.example'))).toThrow(/plain HTTP/);
    expect(realm('http://127.0.0.1:9/t', plain('http://localhost:5000'))).toBe('http://127.0.0.1:9/t');
    expect(realm('http://auth.example/t', plain('http://r.example', { plainHttp: true }))).toBe(
      'http://auth.example/t',
    );
  });
});
