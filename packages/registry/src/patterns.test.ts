import { describe, expect, test } from '@jest/globals';

import { compilePatterns } from './patterns.ts';

describe('patterns', () => {
  test.each([
    ['prod', ['prod'], ['prod/a', 'pro', 'prods', '']],
    ['v*', ['v', 'v1', 'v1.2-rc'], ['av', 'v/1']],
    ['*', ['a', 'latest', ''], ['a/b']],
    ['**', ['a', 'a/b/c', ''], []],
    ['prod/**', ['prod/a', 'prod/a/b'], ['prod', 'production/a']],
    ['prod/*', ['prod/a'], ['prod/a/b', 'prod']],
    ['*/app', ['a/app'], ['app', 'a/b/app']],
    ['**/app', ['app', 'a/app', 'a/b/app'], ['myapp', 'a/myapp', 'app/x']],
    ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['az', 'a/bz', 'a/z/b']],
    ['a**z', ['az', 'a/z', 'abcz'], ['a', 'z']],
    ['*-dev*', ['a-dev', '-dev1', 'x-dev-y'], ['a/b-dev', 'dev']],
    ['a.b', ['a.b'], ['axb']],
    ['***', ['a/b'], []],
  ])('%s', (pattern, matching, others) => {
    const matches = compilePatterns([pattern]);
    expect(matching.filter((text) => !matches(text))).toEqual([]);
    expect(others.filter((text) => matches(text))).toEqual([]);
  });

  test('several: any of them; none: nothing', () => {
    const matches = compilePatterns(['a', 'b*', 'c/**']);
    expect(['a', 'bb', 'c/d/e'].every(matches)).toBe(true);
    expect(['aa', 'c'].some(matches)).toBe(false);
    expect(compilePatterns([])('a')).toBe(false);
    expect(() => compilePatterns(['a', ''])).toThrow('a pattern is empty');
  });

  test('agree with a regular expression on random texts', () => {
    const random = (letters: string, length: number): string =>
      Array.from({ length }, () => letters[Math.floor(Math.random() * letters.length)]).join('');
    for (let at = 0; at < 3000; at++) {
      const pattern = random('ab/**', 1 + (at % 8));
      const source = pattern
        .replace(/(^|(?<=\/))\*\*+\//g, '<')
        .replace(/\*\*+/g, '>')
        .replace(/\*/g, '[^/]*')
        .replace(/</g, '(?:.*/)?')
        .replace(/>/g, '.*');
      const text = random('ab/', at % 7);
      const [ours, theirs] = [compilePatterns([pattern])(text), new RegExp(`^${source}$`).test(text)];
      expect([pattern, text, ours]).toEqual([pattern, text, theirs]);
    }
  });

  test('that make others slow take no time', () => {
    const matches = compilePatterns([`${'*a'.repeat(60)}b`, `${'**/a'.repeat(60)}b`]);
    const begun = performance.now();
    expect(matches('a'.repeat(255))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(500);
  });
});
