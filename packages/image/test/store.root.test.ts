import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';

import { expect, it } from '@jest/globals';
import { lsetxattr, mknodat, AT_FDCWD } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  chainIds,
  digestHex,
  emptyImage,
  imageId,
  layerFromDirectory,
  layerFromFiles,
  openImageStore,
  packLayer,
  unpackLayer,
  withConfig,
  type Image,
} from '../src/index.ts';
import { scratch } from './scratch.ts';
import { describeTree, makeTree } from './tree.ts';

const made = async (...contents: string[]): Promise<Image> => {
  let image = withConfig(emptyImage(), { config: { Cmd: ['/bin/sh'], Env: ['A=b'] } });
  for (const content of contents)
    image = appendLayer(image, await layerFromFiles([{ path: `/files/${content}`, content }]));
  return image;
};

describeRoot('ImageStore', () => {
  it('stores an image that resolves to unpacked layers, topmost first', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.at('root') });
    const image = await made('lower', 'upper');
    const written = await store.write(image, { names: ['app'] });
    expect(await store.resolve('app:latest')).toEqual(written);
    expect(written).toMatchObject({
      id: imageId(image),
      names: ['app:latest'],
      sizeBytes: 10,
      config: { config: { Cmd: ['/bin/sh'] } },
    });
    expect(written.layerDirs.map((dir) => basename(dir))).toEqual(
      chainIds(image.config.rootfs.diff_ids).map(digestHex).reverse(),
    );
    expect(written.layerDirs.map((dir) => readdirSync(join(dir, 'files')))).toEqual([['upper'], ['lower']]);
    for (const word of [
      written.id,
      written.id.slice(7, 19),
      `app@${written.manifestDigest}`,
      'docker.io/library/app',
    ]) {
      expect((await store.resolve(word)).id).toBe(written.id);
    }
    await expect(store.resolve('foo')).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: 'no such image: foo:latest',
    });
    for (const dir of ['', 'content', 'layers']) expect(statSync(tmp.at(join('root', dir))).mode & 0o077).toBe(0);
    expect(readdirSync(tmp.at('root/work'))).toEqual([]);
  });

  it('is a layout that skopeo reads and copies digest by digest', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const { manifestDigest, id } = await store.write(await made('x'), { names: ['example.com/a/b:1'] });
    const from = `oci:${tmp.at('content')}:example.com/a/b:1`;
    const inspected = JSON.parse(execFileSync('skopeo', ['inspect', from]).toString()) as { Digest: string };
    expect(inspected.Digest).toBe(manifestDigest);
    execFileSync('skopeo', ['--insecure-policy', 'copy', '-q', from, `dir:${tmp.at('copy')}`]);
    expect(existsSync(tmp.at(`copy/${digestHex(id)}`))).toBe(true);
  });

  it('tags, and moves a tag without losing the image it left', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const first = await store.write(await made('1'), { names: ['app'] });
    await store.tag('app', 'other:2');
    expect((await store.resolve(first.id)).names).toEqual(['app:latest', 'other:2']);
    const second = await store.write(await made('2'), { names: ['app', 'other:2'] });
    expect((await store.resolve('app')).id).toBe(second.id);
    expect(await store.resolve(first.id)).toMatchObject({ names: [] });
    expect((await store.list()).map(({ id }) => id).sort()).toEqual([first.id, second.id].sort());
    await store.tag(first.id.slice(7, 20), 'app');
    expect(await store.resolve('app')).toMatchObject({ id: first.id, names: ['app:latest'] });
    await expect(store.tag('app', `x@${first.id}`)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });

  it('removes as docker rmi does, sharing what is shared', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const base = await store.write(await made('base'), { names: ['base'] });
    const image = await made('base', 'top');
    const app = await store.write(image, { names: ['app:1', 'app:2'] });
    const [baseChain, topChain] = chainIds(image.config.rootfs.diff_ids);
    await expect(store.remove(app.id)).rejects.toMatchObject({ code: 'IMAGE_CONFLICT' });
    expect(await store.remove('app:1')).toEqual({ untagged: ['app:1'], deleted: [] });
    expect(await store.remove('app:2')).toEqual({ untagged: ['app:2'], deleted: [app.id, topChain] });
    expect(existsSync(base.layerDirs[0] as string)).toBe(true);
    expect(await store.remove(base.id)).toEqual({ untagged: ['base:latest'], deleted: [base.id, baseChain] });
    for (const dir of ['layers', 'work', 'content/blobs/sha256']) expect(readdirSync(tmp.at(dir))).toEqual([]);
  });

  it('keeps layers that are in use', async () => {
    using tmp = scratch();
    const inUse: string[] = [];
    const store = await openImageStore({ rootDir: tmp.dir, layersInUse: () => inUse });
    const { layerDirs, id } = await store.write(await made('used'), { names: ['a', 'b'] });
    inUse.push(...layerDirs);
    expect(await store.remove(id, { force: true })).toEqual({ untagged: ['a:latest', 'b:latest'], deleted: [id] });
    expect(existsSync(layerDirs[0] as string)).toBe(true);
    inUse.pop();
    expect((await store.sweep()).layers).toHaveLength(1);
  });

  it('refuses a layer that is not what it says, and leaves nothing', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const image = await made('good');
    const other = await layerFromFiles([{ path: 'x', content: 'evil' }]);
    const lying = { ...image, layers: image.layers.map((layer) => ({ ...layer, open: () => other.open() })) };
    await expect(store.write(lying, { names: ['x'] })).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    for (const dir of ['layers', 'work', 'content/blobs/sha256']) expect(readdirSync(tmp.at(dir))).toEqual([]);
    await expect(store.resolve('x')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  });

  it('survives many writers and removers at once', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const images = await Promise.all(['a', 'b', 'c', 'd'].map((name) => made('shared', name)));
    await Promise.all(
      images.flatMap((image, i) => [
        store.write(image, { names: [`n${String(i)}`] }),
        store.write(image, { names: [`m${String(i)}`] }).then(() => store.remove(`m${String(i)}`)),
        store.sweep(),
      ]),
    );
    for (const i of images.keys()) {
      const { layerDirs } = await store.resolve(`n${String(i)}`);
      expect(layerDirs.map((dir) => existsSync(join(dir, 'files')))).toEqual([true, true]);
    }
    expect(readdirSync(tmp.at('layers')).filter((name) => !name.endsWith('.json'))).toHaveLength(5);
  });

  it('clears up after a writer that was killed, and not after one that lives', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    await store.write(await made('x'), { names: ['x'] });
    mkdirSync(tmp.at('work/half/layers/abc'), { recursive: true });
    writeFileSync(tmp.at('work/half/lock'), '');
    mkdirSync(tmp.at('work/alive/layers'), { recursive: true });
    writeFileSync(tmp.at('work/alive/lock'), '');
    const holder = spawn('flock', [tmp.at('work/alive/lock'), '-c', 'echo held; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    expect(await store.sweep()).toMatchObject({ workspaces: 1, blobs: [], layers: [] });
    expect(readdirSync(tmp.at('work'))).toEqual(['alive']);
    holder.stdin.end();
    await once(holder, 'close');
    expect(await store.sweep()).toMatchObject({ workspaces: 1 });
  });

  it('says so when the store is damaged', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const { id } = await store.write(await made('x'), { names: ['x'] });
    writeFileSync(tmp.at(`content/blobs/sha256/${digestHex(id)}`), '{}');
    await expect(store.resolve('x')).rejects.toMatchObject({ code: 'STORE_INVALID' });
    writeFileSync(tmp.at('content/index.json'), '{');
    await expect(store.resolve('x')).rejects.toMatchObject({ code: 'STORE_INVALID' });
  });
});

describeRoot('packLayer', () => {
  it.each(['none', 'gzip', 'zstd'] as const)(
    'round-trips a tree, the same bytes each time: %s',
    async (compression) => {
      using tmp = scratch();
      for (const name of ['tree', 'copy']) mkdirSync(tmp.at(name));
      makeTree(tmp.at('tree'));
      const { stream, packed } = packLayer(tmp.at('tree'), { compression });
      const layer = await unpackLayer(stream, tmp.at('copy'));
      expect(await packed).toEqual({ digest: layer.digest, size: layer.size, diffId: layer.diffId, compression });
      expect(describeTree(tmp.at('copy'))).toEqual(describeTree(tmp.at('tree')));
      const again = packLayer(tmp.at('copy'), { compression });
      again.stream.resume();
      expect(await again.packed).toEqual(await packed);
    },
  );

  it('writes what GNU tar reads', async () => {
    using tmp = scratch();
    for (const name of ['tree', 'theirs']) mkdirSync(tmp.at(name));
    makeTree(tmp.at('tree'));
    const bytes = gunzipSync(
      Buffer.concat((await packLayer(tmp.at('tree'), { compression: 'gzip' }).stream.toArray()) as Buffer[]),
    );
    execFileSync('tar', ['-C', tmp.at('theirs'), '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', '-'], {
      input: bytes,
    });
    expect(describeTree(tmp.at('theirs'))).toEqual(describeTree(tmp.at('tree')));
  });

  it('turns an overlay upper directory into a layer and back', async () => {
    using tmp = scratch();
    for (const name of ['upper', 'upper/dir', 'upper/opaque', 'copy']) mkdirSync(tmp.at(name));
    mknodat(AT_FDCWD, tmp.at('upper/dir/gone'), 0o020000, { major: 0, minor: 0 });
    lsetxattr(tmp.at('upper/opaque'), 'trusted.overlay.opaque', Buffer.from('y'));
    lsetxattr(tmp.at('upper/opaque'), 'trusted.overlay.origin', Buffer.from('z'));
    const { stream } = packLayer(tmp.at('upper'), { overlay: true });
    const bytes = Buffer.concat((await stream.toArray()) as Buffer[]);
    const names = execFileSync('tar', ['-tf', '-'], { input: bytes }).toString().trim().split('\n');
    expect(names).toEqual(['./', 'dir/', 'dir/.wh.gone', 'opaque/', 'opaque/.wh..wh..opq']);
    await unpackLayer(Readable.from([bytes]), tmp.at('copy'));
    const plain = describeTree(tmp.at('upper')).map((line) => line.replace(/ trusted\.overlay\.origin=\w+/, ''));
    expect(describeTree(tmp.at('copy')).map((line) => line.replace(/ \d{18,}(?= .*gone)/, ''))).toHaveLength(
      plain.length,
    );
    expect(describeTree(tmp.at('copy')).filter((line) => line.includes('opaque'))).toEqual(
      plain.filter((line) => line.includes('opaque')),
    );
  });

  it('puts a directory where it is told, owned by whom it is told', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('src/sub'), { recursive: true });
    mkdirSync(tmp.at('out'));
    writeFileSync(tmp.at('src/sub/file'), 'x');
    const layer = await layerFromDirectory(tmp.at('src'), {
      targetPath: '/srv/app',
      uid: 7,
      gid: 8,
      mtime: new Date(1000),
    });
    await unpackLayer(layer.open(), tmp.at('out'));
    const stat = statSync(tmp.at('out/srv/app/sub/file'));
    expect([stat.uid, stat.gid, stat.mtimeMs, readFileSync(tmp.at('out/srv/app/sub/file'), 'utf8')]).toEqual([
      7,
      8,
      1000,
      'x',
    ]);
  });
});
