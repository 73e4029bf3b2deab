import { describe, expect, it } from '@jest/globals';

import { imageOf } from '../../test/tar-list.ts';
import type { Member } from '../../test/tar-of.ts';
import { digestOf } from '../digest.ts';
import { diffImages } from './diff.ts';
import { withConfig } from './image.ts';

const base: readonly Member[] = [
  { name: 'etc/', type: '5' },
  { name: 'etc/same', content: 'same' },
  { name: 'etc/gone', content: 'gone' },
  { name: 'etc/changed', content: 'old' },
  { name: 'etc/link', type: '2', linkName: 'old' },
  { name: 'etc/again', content: 'again' },
  { name: 'etc/kind', content: '' },
];

describe('diffImages', () => {
  it('says what differs in config, layers and files', async () => {
    const before = withConfig(await imageOf(base), { config: { Cmd: ['a'], User: 'x' }, author: 'me' });
    const changes: readonly Member[] = [
      { name: 'etc/.wh.gone', content: '' },
      { name: 'etc/changed', content: 'new', mode: 0o755 },
      { name: 'etc/link', type: '2', linkName: 'new' },
      // Written again, but not otherwise.
      { name: 'etc/again', content: 'again' },
      { name: 'etc/kind', type: '5', mode: 0o755 },
      { name: 'etc/kind/in', content: 'in', pax: { 'SCHILY.xattr.user.a': 'b' } },
    ];
    const after = withConfig(await imageOf(base, changes), { config: { Cmd: ['b'], Env: ['A=b'] }, author: 'me' });
    const { config, layers, files } = await diffImages(before, after);
    expect(config).toEqual([
      { path: 'config.Cmd', before: ['a'], after: ['b'] },
      { path: 'config.Env', after: ['A=b'] },
      { path: 'config.User', before: 'x' },
    ]);
    const [common, added] = after.config.rootfs.diff_ids;
    expect(layers).toEqual({ common: [common], removed: [], added: [added] });
    expect(files.map(({ path, kind, aspects }) => [path, kind, ...aspects])).toEqual([
      ['etc/changed', 'modified', 'content', 'mode'],
      ['etc/gone', 'removed'],
      ['etc/kind', 'modified', 'type', 'content', 'mode'],
      ['etc/kind/in', 'added'],
      ['etc/link', 'modified', 'target'],
    ]);
    expect(files[0]?.before).toEqual({
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 3,
      mtimeNs: 0n,
      xattrs: new Map(),
      digest: digestOf('old'),
    });
    expect(files[3]?.after).toMatchObject({ digest: digestOf('in'), xattrs: new Map([['user.a', Buffer.from('b')]]) });
    expect((await diffImages(after, before)).layers).toMatchObject({ removed: [added], added: [] });
    expect(await diffImages(after, after)).toMatchObject({ config: [], files: [], layers: { removed: [] } });
  });

  it('compares files, not how layers hold them', async () => {
    const one = await imageOf([
      { name: 'a', content: 'x' },
      { name: 'b', type: '1', linkName: 'a' },
    ]);
    const two = await imageOf([{ name: 'a', content: 'x' }], [{ name: 'b', content: 'x' }]);
    expect((await diffImages(one, two)).files).toEqual([]);
    const sparse = {
      name: 'a',
      content: 'x',
      pax: { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.size': '3', 'GNU.sparse.map': '1,1' },
    };
    const whole = await imageOf([{ name: 'a', content: '\0x\0' }]);
    expect((await diffImages(await imageOf([sparse]), whole)).files).toEqual([]);
  });

  it('stops when told', async () => {
    const image = await imageOf(base);
    const reason = new Error('enough');
    await expect(diffImages(image, image, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
