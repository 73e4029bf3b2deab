import { expect, it } from '@jest/globals';

import { hostsFile, resolvConf } from './network-files.ts';

it('knows the container by its names, and others that were told', () => {
  const spec = {
    image: 'it',
    domainname: 'example.org',
    extraHosts: ['db:192.0.2.1', 'gate:host-gateway', 'six:fd00::1'],
  };
  const text = hostsFile(spec, { hostname: 'box', address: '172.17.0.2', gateway: '172.17.0.1' });
  expect(text.split('\n').slice(-5)).toEqual([
    '192.0.2.1\tdb',
    '172.17.0.1\tgate',
    'fd00::1\tsix',
    '172.17.0.2\tbox.example.org box',
    '',
  ]);
  expect(hostsFile({ image: 'it' }, { hostname: 'box', address: undefined, gateway: undefined })).not.toContain('box');
});

it.each([
  [
    'the host’s servers, search list and options',
    'nameserver 192.0.2.1\nsearch a b\noptions ndots:2\n',
    {},
    'nameserver 192.0.2.1\nsearch a b\noptions ndots:2\n',
  ],
  [
    'none of the host’s loopback',
    'nameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.1\n',
    {},
    'nameserver 192.0.2.1\n',
  ],
  ['others where none is left', 'nameserver 127.0.0.53\n', {}, 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
  ['all of the host’s on its network', 'nameserver 127.0.0.53\n', { network: 'host' }, 'nameserver 127.0.0.53\n'],
  [
    'what was asked for',
    'nameserver 192.0.2.1\nsearch a\n',
    { dns: ['192.0.2.2'], dnsSearch: ['.'], dnsOptions: ['rotate'] },
    'nameserver 192.0.2.2\noptions rotate\n',
  ],
  ['no comment', '# nameserver 192.0.2.9\n; x\nnameserver  192.0.2.1 \n', {}, 'nameserver 192.0.2.1\n'],
] as const)('resolves names by %s', (_, host, spec, text) => {
  expect(resolvConf({ image: 'it', ...spec }, host)).toBe(text);
});
