import { describe, expect, test } from '@jest/globals';

import { parseRegistriesConfig } from './registries-config.ts';

const YAML = `
hosts:
  docker.io:
    mirrors:
      - https://mirror.example:5000
      - url: https://harbor.example/hub
        capabilities: [pull]
  registry.example:5000:
    plainHttp: false
    insecure: true
    ca: /etc/ssl/ca.pem
    clientCertificate: |
      -----BEGIN CERTIFICATE-----
    clientKey: /etc/ssl/key.pem
    headers: { X-Team: a }
    tokenHosts: [auth.example, 'auth.example:8443']
  '[::1]:5000': { plainHttp: true }
  '*': { mirrors: [http://cache.example] }
  empty.example:
`;

describe('parseRegistriesConfig', () => {
  test('reads every member', async () => {
    expect(await parseRegistriesConfig(YAML)).toEqual({
      hosts: {
        'docker.io': {
          mirrors: [
            { url: 'https://mirror.example:5000/' },
            { url: 'https://harbor.example/hub', capabilities: ['pull'] },
          ],
        },
        'registry.example:5000': {
          plainHttp: false,
          insecure: true,
          ca: '/etc/ssl/ca.pem',
          clientCertificate: '-----BEGIN CERTIFICATE-----\n',
          clientKey: '/etc/ssl/key.pem',
          headers: { 'X-Team': 'a' },
          tokenHosts: ['auth.example', 'auth.example:8443'],
        },
        '[::1]:5000': { plainHttp: true },
        '*': { mirrors: [{ url: 'http://cache.example/' }] },
        'empty.example': {},
      },
    });
    expect(await parseRegistriesConfig('')).toEqual({ hosts: {} });
    expect(await parseRegistriesConfig('{"hosts": {}}')).toEqual({ hosts: {} });
  });

  test.each([
    ['[]', 'invalid f: want an object'],
    ['host: {}', 'invalid f: "host" is unknown: want hosts'],
    ['hosts: { a: { plainhttp: true } }', 'f: hosts: "a": "plainhttp" is unknown: want mirrors, plainHttp'],
    ['hosts: { a: { plainHttp: "yes" } }', 'f: hosts: a: plainHttp: want true or false'],
    ['hosts: { https://a: {} }', '"https://a" is no host'],
    ['hosts: { a: { mirrors: [mirror.example] } }', 'mirrors[0]: want an http:// or https:// URL'],
    ['hosts: { a: { mirrors: ["https://u:secret@m"] } }', 'mirrors[0]: a password does not belong here'],
    ['hosts: { a: { mirrors: [{ url: "http://m", capabilities: [push] }] } }', '"push": want pull or resolve'],
    ['hosts: { a: { ca: ca.pem } }', 'ca: want PEM text or the absolute path'],
    ['hosts: { a: { clientKey: /k } }', 'clientCertificate and clientKey need each other'],
    ['hosts: { a: { headers: { Authorization: secret } } }', 'Authorization cannot be set'],
    ['hosts: { a: { headers: { X: "secret\\r\\nY: 1" } } }', 'want one line of ASCII text'],
    ['hosts: { "*": { insecure: true } }', '"insecure" is unknown: want mirrors'],
    ['hosts: { a: {}, a: {} }', 'line 1 is not YAML (duplicate key)'],
    ['hosts:\n  a: { headers: { X: secret }\n', 'is not YAML'],
  ])('refuses %j', async (text, why) => {
    const refusal: unknown = await parseRegistriesConfig(text, 'f').catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'REGISTRY_CONFIG_INVALID' });
    expect(String(refusal)).not.toMatch(/secret/);
    if (!why.startsWith('f:')) expect(String(refusal)).toContain(why);
  });

  test('names like __proto__ are names like any other', async () => {
    await expect(parseRegistriesConfig('hosts: { __proto__: { x: 1 } }', 'f')).rejects.toThrow(/__proto__/);
  });

  test('a bomb of aliases is refused', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `l${String(i + 1)}: &l${String(i + 1)} [${`*l${String(i)},`.repeat(10)}]`,
    );
    await expect(parseRegistriesConfig(['l0: &l0 x', ...levels].join('\n'))).rejects.toThrow(
      expect.objectContaining({ code: 'REGISTRY_CONFIG_INVALID' }),
    );
  });
});
