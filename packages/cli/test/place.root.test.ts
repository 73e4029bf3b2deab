import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { packLayer } from '@tsc/image';
import { beforeEach, afterEach, expect, it } from '@jest/globals';

import { describeRoot, testDir } from '../../../test/root.ts';
import { packSource, probeSource } from '../src/copy/pack.ts';
import { placeArchive } from '../src/copy/place.ts';

type Member = Parameters<typeof packLayer>[0] extends string | Iterable<infer M> ? M : never;

const common = { uid: 1234, gid: 1234, size: 0, mtimeNs: 0n };
const directory = (name: string): Member => ({ ...common, type: 'directory', name, mode: 0o755 });
const link = (name: string, linkName: string): Member => ({ ...common, type: 'symlink', name, linkName, mode: 0o777 });
const file = (name: string, text: string): Member => {
  const content = Buffer.from(text);
  return { ...common, type: 'file', name, mode: 0o644, content, size: content.length };
};
const archive = (...members: readonly Member[]): Readable => packLayer(members).stream;

describeRoot('placeArchive', () => {
  let work = '';
  beforeEach(() => {
    work = mkdtempSync(join(testDir, 'cp-'));
    mkdirSync(join(work, 'to'));
  });
  afterEach(() => rmSync(work, { recursive: true }));
  const to = (...names: readonly string[]): string => join(work, 'to', ...names);
  const options = { keepOwners: false, memberName: 'd' };

  it('gives a file another name and another owner', async () => {
    await placeArchive(archive(file('f', 'hello')), { directory: to(), name: 'g' }, { ...options, memberName: 'f' });
    expect(readFileSync(to('g'), 'utf8')).toBe('hello');
    expect(lstatSync(to('g')).uid).toBe(0);
    expect(readdirSync(to())).toEqual(['g']);
  });

  it('keeps owners when asked', async () => {
    const keep = { keepOwners: true, memberName: 'd' };
    await placeArchive(archive(directory('d'), file('d/f', 'x')), { directory: to(), name: 'd' }, keep);
    expect(lstatSync(to('d', 'f')).uid).toBe(1234);
  });

  it('merges a directory into one that exists, and copies contents alone', async () => {
    mkdirSync(to('d'));
    writeFileSync(to('d', 'old'), 'old');
    const members = [directory('d'), file('d/f', 'new'), directory('d/sub'), file('d/sub/g', 'g')];
    await placeArchive(archive(...members), { directory: to(), name: 'd' }, options);
    expect(readdirSync(to('d')).sort()).toEqual(['f', 'old', 'sub']);
    await placeArchive(archive(...members), { directory: to(), name: undefined }, options);
    expect(readdirSync(to()).sort()).toEqual(['d', 'f', 'sub']);
  });

  it('never writes through a link of the container or of the destination', async () => {
    const canary = join(work, 'canary');
    mkdirSync(canary);
    const hostile = archive(directory('d'), link('d/out', canary), file('d/out/x', 'evil'));
    await placeArchive(hostile, { directory: to(), name: 'd' }, options).catch(() => undefined);
    expect(readdirSync(canary)).toEqual([]);

    symlinkSync(canary, to('e'));
    const members = archive(directory('d'), file('d/x', 'evil'));
    await expect(placeArchive(members, { directory: to(), name: 'e' }, options)).rejects.toThrow(
      'cannot overwrite non-directory',
    );
    expect(readdirSync(canary)).toEqual([]);
    expect(readdirSync(to()).filter((name) => name.startsWith('.tsc-cp-'))).toEqual([]);
  });

  it('replaces a link instead of what it points to', async () => {
    writeFileSync(join(work, 'canary'), 'kept');
    symlinkSync(join(work, 'canary'), to('f'));
    await placeArchive(archive(file('f', 'new')), { directory: to(), name: 'f' }, { ...options, memberName: 'f' });
    expect(readFileSync(join(work, 'canary'), 'utf8')).toBe('kept');
    expect(lstatSync(to('f')).isFile()).toBe(true);
  });

  it('gives names that mean something in a layer no meaning', async () => {
    const members = [directory('d'), file('d/.wh.x', 'w'), file('d/.wh..wh..opq', 'o')];
    await placeArchive(archive(...members), { directory: to(), name: 'd' }, options);
    expect(readdirSync(to('d')).sort()).toEqual(['.wh..wh..opq', '.wh.x']);
  });

  it('takes back what packSource gave', async () => {
    mkdirSync(join(work, 'from'));
    writeFileSync(join(work, 'from', 'f'), 'f');
    symlinkSync('f', join(work, 'from', 'l'));
    const packed = packSource(probeSource(join(work, 'from'), false), 'renamed');
    await placeArchive(packed, { directory: to(), name: 'back' }, { ...options, memberName: 'renamed' });
    expect(readlinkSync(to('back', 'l'))).toBe('f');
    const linkOnly = packSource(probeSource(join(work, 'from', 'l'), false), 'l');
    await placeArchive(linkOnly, { directory: to(), name: 'l' }, { ...options, memberName: 'l' });
    expect(readlinkSync(to('l'))).toBe('f');
    const followed = packSource(probeSource(join(work, 'from', 'l'), true), 'l');
    await placeArchive(followed, { directory: to(), name: 'g' }, { ...options, memberName: 'l' });
    expect(readFileSync(to('g'), 'utf8')).toBe('f');
  });
});
