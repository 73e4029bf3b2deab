import { describe, expect, it } from '@jest/globals';

import { MemberPaths } from './member-path.ts';

describe('MemberPaths', () => {
  const names = [
    './',
    'a',
    './b',
    'a/b',
    'a/c',
    'a/',
    'a/.',
    'a/d',
    'a/.wh.x',
    'a/e',
    'a//f',
    'a//g',
    './a/h',
    './a/i',
    'a/b/c/',
    'a/b/d',
    'a/b/.wh..wh..opq',
    'a/b/.wh..wh.plnk',
    '/a/j',
    '/a/k',
    'z',
  ];

  it.each([true, false])('says of each name what it would say alone, in a layer: %s', (isLayer) => {
    const paths = new MemberPaths(isLayer);
    for (const name of names) expect(paths.read(name)).toEqual(new MemberPaths(isLayer).read(name));
  });

  it('refuses what leads out, after whatever came before', () => {
    const paths = new MemberPaths(true);
    paths.read('a/b');
    for (const name of ['a/..', 'a/../c', '..']) {
      expect(() => paths.read(name)).toThrow(expect.objectContaining({ code: 'LAYER_UNSAFE' }));
    }
  });

  it('knows whiteouts in a layer only', () => {
    expect(new MemberPaths(true).read('a/.wh.x')).toMatchObject({ meaning: { type: 'whiteout', name: 'x' } });
    expect(new MemberPaths(false).read('a/.wh.x')).toMatchObject({ name: '.wh.x', meaning: { type: 'plain' } });
  });
});
