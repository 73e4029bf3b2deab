import { describe, expect, it } from '@jest/globals';

import { formatFamiliarReference, formatReference, parseReference } from './reference.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('parseReference', () => {
  it.each([
    ['debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['debian:12', 'docker.io/library/debian:12', 'debian:12'],
    ['user/app', 'docker.io/user/app:latest', 'user/app:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['index.docker.io/library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest', 'localhost:5000/app:latest'],
    ['host:5000/a/b/c:T.a-g_1', 'host:5000/a/b/c:T.a-g_1', 'host:5000/a/b/c:T.a-g_1'],
    ['ghcr.io/a/b', 'ghcr.io/a/b:latest', 'ghcr.io/a/b:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest', '[::1]:5000/app:latest'],
    [`debian@${digest}`, `docker.io/library/debian@${digest}`, `debian@${digest}`],
    [`debian:12@${digest}`, `docker.io/library/debian:12@${digest}`, `debian:12@${digest}`],
    ['a__b/c---d/e.f_g', 'docker.io/a__b/c---d/e.f_g:latest', 'a__b/c---d/e.f_g:latest'],
    ['UPPER.io/app', 'UPPER.io/app:latest', 'UPPER.io/app:latest'],
  ])('%s', (text, whole, familiar) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(whole);
    expect(formatFamiliarReference(reference)).toBe(familiar);
    expect(parseReference(whole)).toEqual(reference);
    expect(parseReference(familiar)).toEqual(reference);
  });

  it.each([
    '',
    ':tag',
    '@',
    'a b',
    'Debian',
    'a//b',
    '/a',
    'a/',
    'a___b',
    'a..b',
    '-a',
    'a-',
    'a:',
    `a:${'t'.repeat(129)}`,
    'a:b:c',
    'a@sha256:abc',
    `a@${digest}@${digest}`,
    'a'.repeat(300),
    '../a',
    'a/../b',
    'host:port/a',
    'a\n',
    'a\0',
    'ä',
    '0'.repeat(64),
    'http://a/b',
    '[::1/app',
    '-x.io/app',
  ])('refuses %j', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });

  it('takes linear time on adversarial names', () => {
    const started = performance.now();
    for (const part of ['a-', 'a_', '-', 'a', '.a', 'a/', ':', '@', 'A.']) {
      expect(() => parseReference(`${part.repeat(1_000_000)}!`)).toThrow();
      expect(() => parseReference(`${part.repeat(400 / part.length)}!`)).toThrow();
    }
    expect(performance.now() - started).toBeLessThan(500);
  });
});
