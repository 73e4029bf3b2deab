import { describe, expect, test } from '@jest/globals';

import { keyFor, keysOfHost, matchingKeys } from './credential-keys.ts';

describe('keys of credential files', () => {
  test.each([
    ['r.example', 'r.example', true],
    ['r.example:5000', 'r.example:5000', true],
    ['r.example', 'r.example:5000', false],
    ['r.example:443', 'r.example', false],
    ['https://r.example', 'r.example', true],
    ['http://r.example/v2/', 'r.example', true],
    ['r.example/v1/', 'r.example', true],
    ['https://index.docker.io/v1/', 'docker.io', true],
    ['index.docker.io', 'docker.io', true],
    ['docker.io', 'docker.io', true],
    ['docker.io', 'r.example', false],
    ['evil-r.example', 'r.example', false],
    ['r.example.evil', 'r.example', false],
    ['sub.r.example', 'r.example', false],
  ])('%s is about %s: %p', (key, domain, expected) => {
    expect(keysOfHost([key], domain)).toEqual(expected ? [key] : []);
  });

  test('the closest to a repository come first, and others not at all', () => {
    const keys = ['r.example', 'r.example/team/app', 'r.example/team', 'r.example/tea', 'r.example/team/application'];
    expect(matchingKeys(keys, 'r.example', 'team/app')).toEqual(['r.example/team/app', 'r.example/team', 'r.example']);
    expect(matchingKeys(keys, 'r.example', 'team')).toEqual(['r.example/team', 'r.example']);
    expect(matchingKeys(keys, 'r.example')).toEqual(['r.example']);
  });

  test('Docker Hub is stored under its old name', () => {
    expect(keyFor('docker.io')).toBe('https://index.docker.io/v1/');
    expect(keyFor('r.example:5000')).toBe('r.example:5000');
  });
});
