import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { scratch } from './scratch.ts';
import { tarOf } from './tar-of.ts';

const NOBODY = 65_534;
const path = (name: string): string => new URL(name, import.meta.url).pathname;

/** Runs a program of this package as an ordinary user. */
const asNobody = (program: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } =>
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

  it('changes images, keeps them in layouts and archives, and takes them apart', () => {
    using tmp = scratch();
    chmodSync(tmp.dir, 0o777);
    mkdirSync(tmp.at('app'));
    writeFileSync(tmp.at('app/run'), '#!/bin/sh', { mode: 0o755 });
    const { status, stdout, stderr } = asNobody('./rootless-values.ts', tmp.at('app'), tmp.dir);
    expect([status, stderr]).toEqual([0, '']);
    const said = JSON.parse(stdout) as Record<string, unknown>;
    expect(said).toMatchObject({ uid: NOBODY, written: true, read: said['index'], changed: [['etc/os', 'content']] });
    for (const name of ['layout/index.json', 'app.tar', 'tree.tar'])
      expect(statSync(tmp.at(name))).toMatchObject({ uid: NOBODY });
    // The same of another user, root: nothing of the maker is in an image.
    mkdirSync(tmp.at('root'));
    const args = [
      '--import',
      path('./resolve-sources.mjs'),
      path('./rootless-values.ts'),
      tmp.at('app'),
      tmp.at('root'),
    ];
    const mine = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Record<string, unknown>;
    expect({ ...mine, uid: NOBODY }).toEqual(said);
    mkdirSync(tmp.at('tree'));
    execFileSync('tar', ['-C', tmp.at('tree'), '--delay-directory-restore', '-xf', tmp.at('tree.tar')]);
    expect(readFileSync(tmp.at('tree/etc/os'), 'utf8')).toBe('new');
    expect(statSync(tmp.at('tree/app/run'))).toMatchObject({ uid: 0, gid: 0, mode: 0o100755, mtimeMs: 0 });
    const inspected = execFileSync('skopeo', [
      ...['--override-os', 'linux', '--override-arch', 'amd64'],
      ...['inspect', '--config', `oci:${tmp.at('layout')}:app:1`],
    ]);
    expect(inspected.toString()).toContain('/app/run');
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
