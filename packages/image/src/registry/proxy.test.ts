import { describe, expect, test } from '@jest/globals';

import { proxyFor } from './proxy.ts';

const via = (url: string, no?: string | readonly string[]): string | undefined =>
  proxyFor(new URL(url), { http: 'http://plain:3128', https: 'secure:3129', no })?.href;

describe('proxyFor', () => {
  test('chooses by scheme, and takes a proxy without one for http', () => {
    expect(via('http://a.example')).toBe('http://plain:3128/');
    expect(via('https://a.example')).toBe('http://secure:3129/');
    expect(proxyFor(new URL('https://a.example'), { http: 'http://plain:3128' })).toBeUndefined();
  });

  test('never leads to this machine', () => {
    for (const host of ['localhost', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000']) {
      expect(via(`http://${host}`)).toBeUndefined();
    }
  });

  test.each([
    ['https://a.example', 'a.example', true],
    ['https://b.a.example', 'a.example', true],
    ['https://ba.example', 'a.example', false],
    ['https://a.example', '.a.example', false],
    ['https://b.a.example', '.a.example', true],
    ['https://b.a.example', '*.a.example', true],
    ['https://A.EXAMPLE.', 'other, a.Example', true],
    ['https://a.example', 'a.example:443', true],
    ['https://a.example:5000', 'a.example:443', false],
    ['https://a.example:5000', 'a.example:5000 b.example', true],
    ['http://10.1.2.3', '10.0.0.0/8', true],
    ['http://11.1.2.3', '10.0.0.0/8', false],
    ['http://10.1.2.3', '10.1.2.3', true],
    ['http://10.1.2.3', '2.3', false],
    ['http://[2001:db8::5]', '2001:db8::/32', true],
    ['http://[2001:db8::5]:81', '[2001:db8::5]:81', true],
    ['http://[2001:db8::5]', '2001:db8::5', true],
    ['http://10.1.2.3', '10.0.0.0/99', false],
    ['http://a.example', '10.0.0.0/8', false],
    ['https://a.example', '*', true],
    ['https://a.example', '', false],
  ])('%s with no_proxy %j: directly %p', (url, no, directly) => {
    expect(via(url, no) === undefined).toBe(directly);
    expect(via(url, no.split(/[, ]+/)) === undefined).toBe(directly);
  });

  test('refuses what is no proxy without showing its password', () => {
    const refuse = (): unknown => proxyFor(new URL('http://a.example'), { http: 'socks5://me:secret@p.example' });
    expect(refuse).toThrow(expect.objectContaining({ code: 'REGISTRY_CONFIG_INVALID' }));
    expect(refuse).not.toThrow(/secret/);
  });
});
