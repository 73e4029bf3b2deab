import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from '@jest/globals';

import { imageOf, listTar } from '../../test/tar-list.ts';
import { tarOf, type Member } from '../../test/tar-of.ts';
import { digestOf } from '../digest.ts';
import { blobFromBytes } from './blob.ts';
import { extractImage } from './extract.ts';
import { flattenImage } from './flatten.ts';
import { appendLayer, emptyImage, imageId, type Image, type Layer } from './image.ts';
import { layerFromTar } from './layer-source.ts';
import { validateImage } from './validate.ts';

const file = (name: string, content = name): Member => ({ name, content });
const dir = (name: string): Member => ({ name: `${name}/`, type: '5' });
const link = (name: string, linkName: string): Member => ({ name, type: '1', linkName });
const symlink = (name: string, linkName: string): Member => ({ name, type: '2', linkName });
const extracted = async (...layers: readonly (readonly Member[])[]): Promise<readonly string[]> =>
  listTar(extractImage(await imageOf(...layers)));

describe('extractImage', () => {
  it('puts layers over each other, directories first', async () => {
    expect(
      await extracted(
        [dir('./'), dir('etc'), file('etc/a', 'old'), file('etc/b')],
        [file('etc/a', 'new'), file('bin/x')],
        [dir('etc')],
      ),
    ).toEqual([
      './ directory',
      'bin/ directory',
      'etc/ directory',
      'etc/b file etc/b',
      'etc/a file new',
      'bin/x file bin/x',
    ]);
  });

  it.each<[string, readonly (readonly Member[])[], readonly string[]]>([
    ['whiteouts', [[file('a'), file('b')], [file('.wh.a', '')]], ['b file b']],
    ['whiteouts of directories', [[dir('d'), file('d/a'), file('b')], [file('.wh.d', '')]], ['b file b']],
    [
      'a whiteout and a new one in the same layer, in any order',
      [[file('d/a')], [file('d/b'), file('.wh.d', '')]],
      ['d/ directory', 'd/b file d/b'],
    ],
    ['the other order', [[file('d/a')], [file('.wh.d', ''), file('d/b')]], ['d/ directory', 'd/b file d/b']],
    [
      'opaque directories',
      [
        [file('d/a'), file('d/e/b')],
        [file('d/c'), file('d/.wh..wh..opq', '')],
      ],
      ['d/ directory', 'd/c file d/c'],
    ],
    ['an opaque root', [[file('a')], [file('.wh..wh..opq', ''), file('b')]], ['b file b']],
    ['aufs bookkeeping', [[file('.wh..wh.plnk/1', 'x'), file('a')]], ['a file a']],
    ['a device 0:0, which is a whiteout on disk', [[file('a'), file('b')], [{ name: 'a', type: '3' }]], ['b file b']],
    ['a file for a directory', [[file('d/a')], [file('d')]], ['d file d']],
    ['a directory for a file', [[file('d')], [file('d/a')]], ['d/ directory', 'd/a file d/a']],
    [
      'a directory for a link, which other layers do not follow',
      [[symlink('l', 'd'), dir('d')], [file('l/a')]],
      ['d/ directory', 'l/ directory', 'l/a file l/a'],
    ],
    [
      'names through links of their own layer',
      [[dir('d/e'), symlink('l', '/d/x/../e'), dir('d/x'), file('l/a')]],
      ['d/ directory', 'd/e/ directory', 'd/x/ directory', 'l symlink /d/x/../e', 'd/e/a file l/a'],
    ],
    [
      'links that climb out of the tree',
      [[symlink('l', '../../../..'), file('l/a')]],
      ['l symlink ../../../..', 'a file l/a'],
    ],
    ['a member twice', [[file('a', 'old'), file('a', 'new')]], ['a file new']],
  ])('applies %s', async (_, layers, expected) => {
    expect(await extracted(...layers)).toEqual(expected);
  });

  it.each<[string, readonly (readonly Member[])[], readonly string[]]>([
    ['as they are', [[file('a', 'x'), link('b', 'a'), link('c', 'b')]], ['a file x', 'b hardlink a', 'c hardlink a']],
    ['whose target is replaced above', [[file('a', 'x'), link('b', 'a')], [file('a', 'y')]], ['b file x', 'a file y']],
    [
      'whose target is gone above',
      [[file('a', 'x'), link('b', 'a'), link('c', 'a')], [file('.wh.a', '')]],
      ['b file x', 'c hardlink b'],
    ],
    [
      'whose target is replaced in the same layer',
      [[file('a', 'x'), link('b', 'a'), file('a', 'y')]],
      ['b file x', 'a file y'],
    ],
    ['of symbolic links', [[symlink('s', 't'), link('b', 's')], [file('.wh.s', '')]], ['b symlink t']],
    ['that are replaced', [[file('a', 'x'), link('b', 'a')], [file('b', 'y')]], ['a file x', 'b file y']],
  ])('keeps hard links %s', async (_, layers, expected) => {
    expect(await extracted(...layers)).toEqual(expected);
  });

  it('writes sparse files whole, and leaves the attributes of a host', async () => {
    const sparse = {
      name: 'sparse',
      content: 'headtail',
      pax: {
        'GNU.sparse.major': '0',
        'GNU.sparse.minor': '1',
        'GNU.sparse.name': 'sparse',
        'GNU.sparse.size': '20',
        'GNU.sparse.map': '2,4,14,4',
      },
    };
    const label = {
      name: 'label',
      content: '',
      pax: { 'SCHILY.xattr.security.selinux': 'x', 'SCHILY.xattr.user.a': 'b' },
    };
    expect(await extracted([sparse])).toEqual([`sparse file \0\0head${'\0'.repeat(8)}tail\0\0`]);
    const bytes = Buffer.concat((await extractImage(await imageOf([label])).toArray()) as Buffer[]).toString('latin1');
    expect([bytes.includes('selinux'), bytes.includes('SCHILY.xattr.user.a=b')]).toEqual([false, true]);
  });

  it('is the same on every run, and flattens to it', async () => {
    const image = await imageOf([dir('d'), file('d/a'), file('b')], [file('.wh.b', ''), file('d/c')]);
    const flat = await flattenImage(image, { compression: 'gzip' });
    expect(imageId(await flattenImage(image))).toBe(imageId(flat));
    expect(flat.config.history).toEqual([{ comment: 'flattened from 2 layers' }]);
    await validateImage(flat);
    const [layer] = flat.layers as [Layer];
    expect(layer.descriptor.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
    expect(await listTar(layer.open())).toEqual(['d/ directory', 'd/a file d/a', 'd/c file d/c']);
    expect(digestOf(Buffer.concat((await extractImage(image).toArray()) as Buffer[]))).toBe(layer.diffId);
    expect(await listTar(extractImage(flat))).toEqual(await listTar(extractImage(image)));
  });

  it.each<[string, readonly Member[]]>([
    ['LAYER_UNSAFE', [file('../a')]],
    ['LAYER_UNSAFE', [file('a'), file('a/b')]],
    ['LAYER_UNSAFE', [symlink('l', 'l'), file('l/b')]],
    ['LAYER_UNSAFE', [symlink('l', 'nowhere'), file('l/b')]],
    ['LAYER_UNSAFE', [file('.wh.', '')]],
    ['LAYER_INVALID', [link('b', 'a')]],
    ['LAYER_INVALID', [dir('d'), link('b', 'd')]],
    ['LAYER_INVALID', [file('.wh.a', ''), link('b', 'a')]],
    ['LAYER_INVALID', [symlink('./', 'x')]],
    ['LAYER_LIMIT', [file('a/'.repeat(513) + 'b')]],
    [
      'LAYER_LIMIT',
      [
        {
          name: 's',
          pax: {
            'GNU.sparse.major': '0',
            'GNU.sparse.minor': '1',
            'GNU.sparse.size': '99999999999',
            'GNU.sparse.map': '',
          },
        },
      ],
    ],
  ])('refuses with %s %j', async (code, members) => {
    await expect(extractImage(await imageOf(members)).toArray()).rejects.toMatchObject({ name: 'ImageError', code });
  });

  it('refuses depth that links add up', async () => {
    const deep = (at: string): Member => dir(at + '/d'.repeat(500));
    const long = (name: string, linkpath: string): Member => ({ name, type: '2', pax: { linkpath } });
    const [first, second] = [long('l', `a${'/d'.repeat(500)}`), long('m', `l${'/d'.repeat(500)}`)];
    const members = [deep('a'), first, deep('l'), second, deep('m')];
    await expect(extractImage(await imageOf(members)).toArray()).rejects.toMatchObject({ code: 'LAYER_LIMIT' });
  });

  it('refuses layers that are not what they should be, and stops when told', async () => {
    const image = await imageOf([file('a')]);
    const [layer] = image.layers as [Layer];
    const other = gzipSync(tarOf([file('b')]));
    const lies: Image = { ...image, layers: [{ ...layer, open: () => blobFromBytes(other, '').open() }] };
    await expect(extractImage(lies).toArray()).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    const wrong = { ...layer, diffId: digestOf('x') };
    await expect(extractImage({ ...image, layers: [wrong] }).toArray()).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
    const reason = new Error('enough');
    expect(() => extractImage(image, { signal: AbortSignal.abort(reason) })).toThrow(reason);
    const controller = new AbortController();
    const stream = extractImage(image, { signal: controller.signal });
    controller.abort(reason);
    await expect(stream.toArray()).rejects.toBe(reason);
  });

  it('is an empty archive of an image without layers', async () => {
    expect(await listTar(extractImage(emptyImage()))).toEqual([]);
  });
});

describe('layerFromTar', () => {
  it('takes archives as they are, or compresses them', async () => {
    const bytes = gzipSync(tarOf([file('a')]));
    const layer = await layerFromTar(() => Readable.from([bytes]));
    expect(layer).toMatchObject({
      descriptor: {
        digest: digestOf(bytes),
        size: bytes.length,
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      },
      diffId: digestOf(tarOf([file('a')])),
    });
    const plain = await layerFromTar(() => Readable.from([bytes]), { compression: 'none' });
    expect(plain.descriptor.digest).toBe(layer.diffId);
    await validateImage(appendLayer(emptyImage(), plain));
    await expect(layerFromTar(() => Readable.from([Buffer.from('x')]))).rejects.toMatchObject({
      code: 'LAYER_INVALID',
    });
    await expect(layerFromTar('/dev/null')).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });
});
