import { describe, expect, test } from '@jest/globals';

import { checkRepository, isLoopback, registryHost } from './host-name.ts';

describe('hosts', () => {
  test('Docker Hub answers under another name', () => {
    expect(['docker.io', 'index.docker.io', 'r.example:5000'].map(registryHost)).toEqual([
      'registry-1.docker.io',
      'registry-1.docker.io',
      'r.example:5000',
    ]);
  });

  test('loopback is told by name and number', () => {
    const names = ['localhost', 'LOCALHOST', '127.0.0.1', '127.8.9.10', '[::1]', '::1'];
    expect(names.filter(isLoopback)).toEqual(names);
    expect(
      ['localhost.example', '128.0.0.1', '127.example', '127.0.0.1.example', '[::2]', ''].filter(isLoopback),
    ).toEqual([]);
  });

  test('references that were made up are checked', () => {
    expect(checkRepository({ domain: 'r.example', path: 'a/b' })).toMatchObject({ domain: 'r.example', path: 'a/b' });
    for (const bad of [
      { domain: 'r.example', path: '../x' },
      { domain: 'r.example/x?', path: 'a' },
      { domain: 'localhost:99999', path: 'a' },
      { domain: 'user:pass@r.example', path: 'a' },
    ])
      expect(() => checkRepository(bad)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });
});
