import { execFileSync } from 'node:child_process';

import { describe, expect, it } from '@jest/globals';

import { scratch } from './scratch.ts';

const path = (name: string): string => new URL(name, import.meta.url).pathname;

describe('images as values', () => {
  it('need no native code', () => {
    using tmp = scratch();
    const args = ['--import', path('./resolve-sources.mjs'), path('./rootless-addon.ts'), tmp.dir];
    const said = execFileSync(process.execPath, args, { encoding: 'utf8' });
    expect(JSON.parse(said)).toEqual({ loaded: [], entries: 1 });
  });
});
