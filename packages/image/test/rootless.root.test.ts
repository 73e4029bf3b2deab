import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { scratch } from './scratch.ts';
import { tarOf } from './tar-of.ts';

const NOBODY = 65_534;
const path = (name: string): string => new URL(name, import.meta.url).pathname;

/** Runs a program of this package as an ordinary user. */
const asNobody = (program: string, ...args: string[]): { status: number | null; stderr: string } =>
  spawnSync(process.execPath, ['--import', path('./resolve-sources.mjs'), path(program), ...args], {
    uid: NOBODY,
    gid: NOBODY,
    encoding: 'utf8',
  });

describeRoot('an ordinary user', () => {
  it('makes an image of a directory', () => {
    using tmp = scratch();
    chmodSync(tmp.dir, 0o777);
    expect(asNobody('../../../examples/image-from-directory.ts', path('../src'), tmp.at('app.tar')).status).toBe(0);
    expect(readdirSync(tmp.dir)).toEqual(['app.tar']);
  });

  it('is told that unpacking for the engine needs root', () => {
    using tmp = scratch();
    chmodSync(tmp.dir, 0o777);
    writeFileSync(tmp.at('rootfs.tar'), tarOf([{ name: 'etc/passwd', content: 'x' }]));
    const { status, stderr } = asNobody('./import-archive.ts', tmp.at('store'), tmp.at('rootfs.tar'), 'os');
    expect(status).toBe(1);
    expect(stderr).toContain("code: 'NEEDS_ROOT'");
    expect(readdirSync(tmp.at('store/work'))).toEqual([]);
  });
});
