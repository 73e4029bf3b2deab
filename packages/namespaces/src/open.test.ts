import { readlinkSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { openNamespace } from './open.ts';

describe('openNamespace', () => {
  it('takes hold of the namespace of a process, by pid or by path', () => {
    using byPid = openNamespace(process.pid, 'net');
    using byPath = openNamespace('/proc/self/ns/net', 'net');
    expect(readlinkSync('/proc/self/ns/net')).toBe(`net:[${byPid.inode}]`);
    expect(byPath.inode).toBe(byPid.inode);
  });

  it('closes once, and gives no descriptor afterwards', () => {
    const handle = openNamespace(process.pid, 'uts');
    handle.close();
    handle.close();
    expect(() => handle.fd).toThrow(TypeError);
  });

  it.each([
    ['a process that is not there', 2 ** 22 + 1, 'NAMESPACE_NOT_FOUND', /ENOENT/],
    ['a path that is not there', '/nowhere', 'NAMESPACE_NOT_FOUND', /\/nowhere/],
    [
      'a namespace of another type',
      '/proc/self/ns/uts',
      'NAMESPACE_WRONG_TYPE',
      /\/proc\/self\/ns\/uts: is a uts namespace$/,
    ],
    ['a file', '/etc/passwd', 'NAMESPACE_WRONG_TYPE', /\/etc\/passwd: is no namespace$/],
  ])('refuses %s', (_, source, code, message) => {
    expect(() => openNamespace(source, 'net')).toThrow(expect.objectContaining({ name: 'NamespaceError', code }));
    expect(() => openNamespace(source, 'net')).toThrow(message);
  });
});
