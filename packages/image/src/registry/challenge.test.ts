import { describe, expect, test } from '@jest/globals';

import { parseChallenges } from './challenge.ts';

const plain = (...headers: readonly string[]): unknown =>
  parseChallenges(headers).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe('parseChallenges', () => {
  test('reads what registries send', () => {
    const header = 'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"';
    expect(plain(header)).toEqual([
      ['bearer', { realm: 'https://auth.example/token', service: 'r.example', scope: 'repository:a/b:pull,push' }],
    ]);
    expect(plain('Basic realm=registry')).toEqual([['basic', { realm: 'registry' }]]);
  });

  test('reads several challenges, in one header and in several', () => {
    expect(plain('Negotiate, Basic realm="a, b", charset=UTF-8 , Bearer realm = "x"', 'Digest a=1')).toEqual([
      ['negotiate', {}],
      ['basic', { realm: 'a, b', charset: 'UTF-8' }],
      ['bearer', { realm: 'x' }],
      ['digest', { a: '1' }],
    ]);
    expect(plain('NTLM TlRMTVNTUAAC==, Basic realm="r"')).toEqual([
      ['ntlm', {}],
      ['basic', { realm: 'r' }],
    ]);
  });

  test('reads quoted strings with quotes and commas in them', () => {
    expect(plain('Bearer realm="say \\"a,b\\" \\\\", SERVICE=s')).toEqual([
      ['bearer', { realm: 'say "a,b" \\', service: 's' }],
    ]);
  });

  test('keeps the first of two equal names, and ends where it is malformed', () => {
    expect(plain('Bearer realm="a",realm="b"')).toEqual([['bearer', { realm: 'a' }]]);
    expect(plain('Bearer realm="never closed')).toEqual([
      ['bearer', {}],
      ['realm', {}],
    ]);
    expect(plain('', ',,,', '"')).toEqual([]);
  });

  test('takes time in proportion to a long header', () => {
    expect(parseChallenges([`Bearer realm="${'\\'.repeat(1e6)}`])[0]?.scheme).toBe('bearer');
    expect(plain(','.repeat(1e6))).toEqual([]);
  });
});
