import { createHash } from 'node:crypto';
import { createReadStream, existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { expect, it } from '@jest/globals';
import { lgetxattr } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import { syncFileSystem, unpackLayer } from '../src/index.ts';
import { scratch } from './scratch.ts';
import { type Member, tarOf } from './tar-of.ts';
import { describeTree, makeTree, tar } from './tree.ts';

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const inPieces = (bytes: Buffer, size: number): Readable => Readable.from(pieces(bytes, size));

const unpack = (members: readonly Member[], dir: string) => unpackLayer(inPieces(tarOf(members), 1000), dir);

describeRoot('unpackLayer', () => {
  it.each([
    ['pax', ['--format=pax', '--xattrs', '--xattrs-include=*']],
    ['pax with sparse files', ['--format=pax', '--xattrs', '--xattrs-include=*', '--sparse']],
    ['gnu with sparse files', ['--format=gnu', '--sparse']],
    ['gnu', ['--format=gnu']],
    ['sparse format 0.1', ['--format=pax', '--sparse-version=0.1', '--sparse']],
    ['sparse format 0.0', ['--format=pax', '--sparse-version=0.0', '--sparse']],
  ])('makes the tree that GNU tar makes: %s', async (_name, options) => {
    using tmp = scratch();
    for (const name of ['tree', 'theirs', 'ours']) mkdirSync(tmp.at(name));
    makeTree(tmp.at('tree'));
    tar('-C', tmp.at('tree'), ...options, '-cf', tmp.at('layer.tar'), '.');
    tar('-C', tmp.at('theirs'), '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', tmp.at('layer.tar'));
    const layer = await unpackLayer(createReadStream(tmp.at('layer.tar')), tmp.at('ours'));
    expect(describeTree(tmp.at('ours'))).toEqual(describeTree(tmp.at('theirs')));
    const bytes = readFileSync(tmp.at('layer.tar'));
    expect(layer.diffId).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    expect(layer).toMatchObject({ digest: layer.diffId, size: bytes.length, compression: 'none' });
  });

  it('reads any compression in pieces of any size to the same diff id', async () => {
    using tmp = scratch();
    const plain = tarOf([
      { name: 'a/b', content: 'x'.repeat(5000) },
      { name: 'long/'.repeat(60), type: '5' },
    ]);
    const ids = new Set<string>();
    for (const [index, [bytes, size]] of (
      [
        [plain, 1],
        [plain, 511],
        [plain, 1 << 20],
        [gzipSync(plain), 7],
        [Buffer.concat([gzipSync(plain.subarray(0, 3000)), gzipSync(plain.subarray(3000))]), 100],
        [zstdCompressSync(plain), 1],
      ] as const
    ).entries()) {
      mkdirSync(tmp.at(String(index)));
      const layer = await unpackLayer(inPieces(bytes, size), tmp.at(String(index)));
      ids.add(layer.diffId);
      expect(readFileSync(tmp.at(`${String(index)}/a/b`), 'utf8')).toHaveLength(5000);
    }
    expect(ids.size).toBe(1);
  });

  it('turns whiteouts into what overlayfs reads', async () => {
    using tmp = scratch();
    await unpack(
      [
        { name: 'gone/.wh.file' },
        { name: 'opaque/.wh..wh..opq' },
        { name: '.wh.back' },
        { name: 'back/new', content: 'x' },
        { name: '.wh.again' },
        { name: 'again/', type: '5' },
        { name: 'kept', content: 'kept' },
        { name: '.wh.kept' },
        { name: '.wh..wh.plnk/1.2', content: 'aufs' },
      ],
      tmp.dir,
    );
    const gone = lstatSync(tmp.at('gone/file'));
    expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0]);
    for (const dir of ['opaque', 'back', 'again'])
      expect(lgetxattr(tmp.at(dir), 'trusted.overlay.opaque').toString()).toBe('y');
    expect(readFileSync(tmp.at('back/new'), 'utf8')).toBe('x');
    expect(readFileSync(tmp.at('kept'), 'utf8')).toBe('kept');
    expect(existsSync(tmp.at('.wh..wh.plnk'))).toBe(false);
  });

  it('lets the last member of a name win, whatever kinds they are', async () => {
    using tmp = scratch();
    const kinds: Member[] = [
      { name: 'n', content: 'file' },
      { name: 'n/', type: '5' },
      { name: 'n', type: '2', linkName: 'target' },
      { name: 'n', type: '6' },
    ];
    for (const [i, first] of kinds.entries()) {
      for (const [j, second] of kinds.entries()) {
        const dir = tmp.at(`${String(i)}-${String(j)}`);
        mkdirSync(dir);
        const within = first.type === '5' ? [{ name: 'n/inner/file', content: 'x' }] : [];
        await unpack([first, ...within, second], dir);
        const stat = lstatSync(join(dir, 'n'));
        expect([stat.isFile(), stat.isDirectory(), stat.isSymbolicLink(), stat.isFIFO()].indexOf(true)).toBe(j);
      }
    }
  });

  it('drops attributes that would steer overlayfs', async () => {
    using tmp = scratch();
    const pax = { 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.fine': 'x' };
    await unpack([{ name: 'd/', type: '5', pax }], tmp.dir);
    expect(lgetxattr(tmp.at('d'), 'user.fine').toString()).toBe('x');
    expect(() => lgetxattr(tmp.at('d'), 'trusted.overlay.redirect')).toThrow();
  });

  const link = (name: string, linkName: string): Member => ({ name, linkName, type: '2' });
  const hard = (name: string, linkName: string): Member => ({ name, linkName, type: '1' });
  const file = (name: string): Member => ({ name, content: 'pwned' });
  const dir = (name: string): Member => ({ name, type: '5' });
  const CANARY = '@canary@';

  it.each<[string, Member[]]>([
    ['dot-dot', [file('../canary/secret')]],
    ['dot-dot in the middle', [file('a/../../canary/secret')]],
    ['dot-dot directory', [dir('../canary')]],
    ['absolute', [file(`${CANARY}/secret`)]],
    ['PAX path', [{ ...file('innocent'), pax: { path: '../canary/secret' } }]],
    ['GNU long name', [{ name: '././@LongLink', type: 'L', content: '../canary/secret\0' }, file('innocent')]],
    ['PAX size differs', [{ ...file('innocent'), pax: { path: `${CANARY}/secret` } }]],
    ['write through a symlink', [link('l', CANARY), file('l/secret')]],
    ['write through a relative symlink', [link('l', '../canary'), file('l/secret')]],
    [
      'write through a chain',
      [dir('a/b/c'), link('a/b/c/up', '../..'), link('a/b/escape', 'c/up/../../../canary'), file('a/b/escape/secret')],
    ],
    ['replace the symlink itself', [link('l', `${CANARY}/secret`), file('l')]],
    ['directory over symlink', [link('l', CANARY), dir('l'), file('l/secret')]],
    ['symlink over directory', [dir('l'), file('l/x'), link('l', CANARY), file('l/secret')]],
    ['symlink over directory, deep', [dir('a/l'), file('a/l/x'), link('a', '..'), file('a/canary/secret')]],
    ['mode through a symlink', [link('l', `${CANARY}/secret`), { name: 'l', type: '5', mode: 0o777 }]],
    ['hard link out', [hard('h', '../canary/secret'), file('h')]],
    ['hard link absolute', [hard('h', `${CANARY}/secret`), file('h')]],
    ['hard link through a symlink', [link('l', CANARY), hard('h', 'l/secret'), file('h')]],
    ['hard link to a symlink', [link('l', `${CANARY}/secret`), hard('h', 'l'), { ...file('h'), mode: 0o777 }]],
    [
      'published hard link chain',
      [
        dir('a/b/c'),
        link('a/b/c/up', '../..'),
        link('a/b/escape', 'c/up/../..'),
        hard('exfil', 'a/b/escape/canary/secret'),
        file('exfil'),
      ],
    ],
    ['whiteout out', [file('.wh...')]],
    ['whiteout through a symlink', [link('l', CANARY), file('l/.wh.secret')]],
    ['opaque through a symlink', [link('l', CANARY), file('l/.wh..wh..opq')]],
    ['device through a symlink', [link('l', CANARY), { name: 'l/secret', type: '3' }]],
    ['backslashes', [file('..\\canary\\secret')]],
    ['NUL', [{ ...file('x'), pax: { path: 'a\0/../../canary/secret' } }]],
    ['symlink swap through magic links', [link('l', '/proc/self/cwd'), file('l/x')]],
  ])('touches nothing outside: %s', async (_name, members) => {
    using tmp = scratch();
    mkdirSync(tmp.at('canary'));
    mkdirSync(tmp.at('root'));
    writeFileSync(tmp.at('canary/secret'), 'secret', { mode: 0o600 });
    const before = describeTree(tmp.at('canary'));
    const replaced = JSON.parse(JSON.stringify(members).replaceAll(CANARY, tmp.at('canary'))) as Member[];
    await unpack(replaced, tmp.at('root')).catch((error: unknown) => {
      expect(error).toMatchObject({ name: 'ImageError' });
    });
    expect(describeTree(tmp.at('canary'))).toEqual(before);
    expect(lstatSync(tmp.at('canary/secret')).nlink).toBe(1);
    expect(describeTree(tmp.at('root')).join()).not.toContain(Buffer.from('secret').toString('base64'));
  });

  it.each<[string, string, Buffer]>([
    ['a huge PAX header', 'LAYER_LIMIT', tarOf([{ name: 'x', type: 'x', size: 2 ** 30 }])],
    ['a huge long name', 'LAYER_LIMIT', tarOf([{ name: 'x', type: 'L', size: 2 ** 30 }])],
    [
      'a zip bomb',
      'LAYER_LIMIT',
      gzipSync(Buffer.concat([tarOf([{ name: 'x', size: 2 ** 31 }]), Buffer.alloc(50_000_000)])),
    ],
    ['a cut archive', 'LAYER_INVALID', tarOf([{ name: 'x', size: 5000, content: 'short' }]).subarray(0, 1024)],
    ['a cut gzip stream', 'LAYER_INVALID', gzipSync(tarOf([{ name: 'x' }])).subarray(0, 60)],
    ['a cut zstd stream', 'LAYER_INVALID', zstdCompressSync(tarOf([{ name: 'x' }])).subarray(0, 30)],
    ['a broken gzip stream', 'LAYER_INVALID', Buffer.concat([Buffer.from('1f8b0800', 'hex'), Buffer.alloc(100, 7)])],
    ['a checksum that lies', 'LAYER_INVALID', Buffer.alloc(1024, 'x')],
    ['an unknown type', 'LAYER_INVALID', tarOf([{ name: 'x', type: 'M' }])],
    ['a member after a zero block', 'LAYER_INVALID', Buffer.concat([Buffer.alloc(512), tarOf([{ name: 'x' }])])],
    ['a broken PAX record', 'LAYER_INVALID', tarOf([{ name: 'x', type: 'x', content: '99 path=x\n' }, { name: 'x' }])],
    ['an owner that nobody can be', 'LAYER_INVALID', tarOf([{ name: 'x', pax: { uid: '4294967295' } }])],
    ['xz', 'COMPRESSION_UNSUPPORTED', Buffer.from('fd377a585a00000004', 'hex')],
    ['a file below a file', 'LAYER_UNSAFE', tarOf([{ name: 'x' }, { name: 'x/y' }])],
  ])('refuses %s', async (_name, code, bytes) => {
    using tmp = scratch();
    const limits = { ratioFloorBytes: 10_000_000 };
    await expect(unpackLayer(inPieces(bytes, 10_000), tmp.dir, { limits })).rejects.toMatchObject({
      name: 'ImageError',
      code,
    });
  });

  it('can be made to survive power loss', async () => {
    using tmp = scratch();
    await unpack([{ name: 'x', content: 'x' }], tmp.dir);
    await syncFileSystem(tmp.dir);
    await expect(syncFileSystem(tmp.at('x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it('stops when told', async () => {
    using tmp = scratch();
    const abort = new AbortController();
    const endless = function* (): Generator<Buffer> {
      yield tarOf([{ name: 'x', size: 2 ** 33 - 1 }]).subarray(0, 512);
      for (;;) {
        yield Buffer.alloc(65_536);
        abort.abort();
      }
    };
    await expect(unpackLayer(Readable.from(endless()), tmp.dir, { signal: abort.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
