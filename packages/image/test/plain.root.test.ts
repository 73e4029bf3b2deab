import {
  chmodSync,
  createReadStream,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { expect, it } from '@jest/globals';
import { AT_FDCWD, mknodat } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import { packArchive, unpackArchive, type UnpackArchiveOptions } from '../src/index.ts';
import { scratch } from './scratch.ts';
import { type Member, tarOf } from './tar-of.ts';
import { describeTree, makeTree, tar } from './tree.ts';

const unpack = (members: readonly Member[], dir: string, options?: UnpackArchiveOptions) =>
  unpackArchive(Readable.from([tarOf(members)]), dir, options);

const mode = (path: string): number => lstatSync(path).mode & 0o7777;

describeRoot('unpackArchive', () => {
  it('merges directories, replaces files and leaves the rest', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('to/d'), { recursive: true });
    writeFileSync(tmp.at('to/d/old'), 'old');
    writeFileSync(tmp.at('to/d/f'), 'before, and longer');
    symlinkSync('/etc/passwd', tmp.at('to/d/link'));
    const members = [
      { name: 'd/', type: '5', mode: 0o711 },
      { name: 'd/f', content: 'after' },
      { name: 'd/link', content: 'a file now' },
      { name: 'd/new', type: '2', linkName: 'f' },
    ];
    expect(await unpack(members, tmp.at('to'))).toEqual({ entries: 4, contentBytes: 15 });
    expect(readdirSync(tmp.at('to/d')).sort()).toEqual(['f', 'link', 'new', 'old']);
    expect(readFileSync(tmp.at('to/d/f'), 'utf8')).toBe('after');
    expect(readFileSync(tmp.at('to/d/link'), 'utf8')).toBe('a file now');
    expect(mode(tmp.at('to/d'))).toBe(0o711);
  });

  it('gives names no meaning: whiteouts are files, devices 0:0 devices', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('to'));
    writeFileSync(tmp.at('to/x'), 'kept');
    const members = ['.wh.x', '.wh..wh..opq', '.wh..wh.plnk', '.wh.', '.wh.dir/f'].map((name) => ({
      name,
      content: 'f',
    }));
    await unpack([...members, { name: 'hard', type: '1', linkName: '.wh.x' }], tmp.at('to'));
    expect(readFileSync(tmp.at('to/x'), 'utf8')).toBe('kept');
    for (const { name } of members) expect(readFileSync(tmp.at(`to/${name}`), 'utf8')).toBe('f');
    expect(lstatSync(tmp.at('to/hard')).nlink).toBe(2);
    mknodat(AT_FDCWD, tmp.at('to/gone'), 0o020600, { major: 0, minor: 0 });
    await expect(unpack([{ name: 'gone/f', content: 'f' }], tmp.at('to'))).rejects.toMatchObject({
      code: 'LAYER_UNSAFE',
    });
    expect(lstatSync(tmp.at('to/gone')).isCharacterDevice()).toBe(true);
  });

  it('never puts a directory in the place of something else, nor the other way round', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('to/d/sub'), { recursive: true });
    mkdirSync(tmp.at('canary'), { mode: 0o700 });
    writeFileSync(tmp.at('to/f'), 'f');
    symlinkSync(tmp.at('canary'), tmp.at('to/link'));
    for (const member of [
      { name: 'd', content: 'f' },
      { name: 'd', type: '2', linkName: 'x' },
      { name: 'd', type: '1', linkName: 'f' },
      { name: 'f', type: '5', mode: 0o777 },
      { name: 'link', type: '5', mode: 0o777 },
    ]) {
      await expect(unpack([member], tmp.at('to'))).rejects.toMatchObject({ code: 'ARCHIVE_CONFLICT' });
    }
    expect(readdirSync(tmp.at('to/d'))).toEqual(['sub']);
    expect(readFileSync(tmp.at('to/f'), 'utf8')).toBe('f');
    expect(mode(tmp.at('canary'))).toBe(0o700);
  });

  it('changes the target itself only when told, and nothing outside (V22, V24, V25)', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('to'), { mode: 0o750 });
    mkdirSync(tmp.at('canary'));
    chmodSync(tmp.at('to'), 0o750);
    symlinkSync(tmp.at('canary'), tmp.at('to/out'));
    const root = { name: './', type: '5', mode: 0o777 };
    await unpack([root, { name: './f', content: 'f' }], tmp.at('to'));
    expect(mode(tmp.at('to'))).toBe(0o750);
    await unpack([root], tmp.at('to'), { applyRoot: true });
    expect(mode(tmp.at('to'))).toBe(0o777);
    await expect(unpack([{ name: 'out/x', content: 'evil' }], tmp.at('to'))).rejects.toMatchObject({
      code: 'LAYER_UNSAFE',
    });
    await expect(unpack([{ name: '../canary/x', content: 'evil' }], tmp.at('to'))).rejects.toMatchObject({
      code: 'LAYER_UNSAFE',
    });
    await unpack([{ name: '/abs', content: 'inside' }], tmp.at('to'));
    expect(readFileSync(tmp.at('to/abs'), 'utf8')).toBe('inside');
    expect(readdirSync(tmp.at('canary'))).toEqual([]);
  });

  it('gives everything one owner when told', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('to'));
    const members = [
      { name: 'f', content: 'f', mode: 0o4755 },
      { name: 'd', type: '5' },
      { name: 'l', type: '2', linkName: 'f' },
    ];
    await unpack(members, tmp.at('to'), { owner: { uid: 1000, gid: 50 } });
    for (const name of ['f', 'd', 'l']) expect(lstatSync(tmp.at(`to/${name}`))).toMatchObject({ uid: 1000, gid: 50 });
    expect(mode(tmp.at('to/f'))).toBe(0o4755);
  });

  it('writes into what is mounted below the target', async () => {
    // A mount of the test's own would be the whole process's: /dev/shm is one that every machine has.
    const shm = mkdtempSync('/dev/shm/tsc-image-');
    try {
      await unpack([{ name: `${shm.slice(1)}/f`, content: 'f' }], '/');
      expect(readFileSync(join(shm, 'f'), 'utf8')).toBe('f');
    } finally {
      rmSync(shm, { recursive: true });
    }
  });
});

describeRoot('packArchive', () => {
  it('packs what unpackArchive and GNU tar unpack to the same tree, whatever the names', async () => {
    using tmp = scratch();
    for (const name of ['tree', 'ours', 'theirs']) mkdirSync(tmp.at(name));
    makeTree(tmp.at('tree'));
    writeFileSync(tmp.at('tree/.wh.x'), 'a file');
    mkdirSync(tmp.at('tree/.wh..wh..opq'));
    await pipeline(packArchive(tmp.at('tree'), { targetPath: 'top' }), createWriteStream(tmp.at('tar')));
    await unpackArchive(createReadStream(tmp.at('tar')), tmp.at('ours'));
    tar('-C', tmp.at('theirs'), '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', tmp.at('tar'));
    expect(describeTree(tmp.at('ours/top'))).toEqual(describeTree(tmp.at('theirs/top')));
    expect(describeTree(tmp.at('ours/top'))).toEqual(describeTree(tmp.at('tree')));
    expect(existsSync(tmp.at('ours/top/.wh.x'))).toBe(true);
  });
});
