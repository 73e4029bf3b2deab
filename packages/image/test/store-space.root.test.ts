import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';
import { mount, umount2, MNT_DETACH } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  emptyImage,
  imageId,
  layerFromFiles,
  openImageStore,
  openRegistryClient,
  pullImage,
  pushImage,
  withConfig,
  type Compression,
  type Image,
} from '../src/index.ts';
import { startHostileRegistry } from './hostile-registry.ts';
import { scratch } from './scratch.ts';
import { imageOfContent, seededLayer } from './seeded-layer.ts';
import { allOf } from './transfer-events.ts';

const MIB = 1024 ** 2;

const made = async (compression: Compression, ...names: string[]): Promise<Image> => {
  let image = emptyImage();
  for (const name of names) {
    const files = Array.from({ length: 200 }, (_, i) => ({
      path: `${name}/${String(i)}`,
      content: name.repeat(i * 20),
    }));
    image = appendLayer(image, await layerFromFiles(files, { compression }));
  }
  return image;
};

const du = (dir: string): number => Number(execFileSync('du', ['-s', '--block-size=1', dir]).toString().split('\t')[0]);

const expectNear = (actual: number, expected: number): void => {
  expect(actual).toBeGreaterThan(expected * 0.98);
  expect(actual).toBeLessThan(expected * 1.02);
};

describeRoot('the space of a store', () => {
  it('is what du says, and is shared out to the images', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const store = await openImageStore({ rootDir: tmp.at('root') });
    expectNear((await store.usage()).total, du(tmp.at('root')));
    const [one, two] = [await made('none', 'base', 'one'), await made('none', 'base', 'two')];
    await store.write(one, { names: ['one'] });
    await store.write(two, { names: ['two'] });
    // Compressed layers for the next push, a download that was given up, and a running write count too.
    await using client = openRegistryClient();
    await allOf(pushImage(store, client, 'one', { to: `${registry.domain}/one:1` }));
    mkdirSync(tmp.at(`root/downloads/${'0'.repeat(64)}`), { recursive: true });
    writeFileSync(tmp.at(`root/downloads/${'0'.repeat(64)}/data`), Buffer.alloc(3 * MIB, 1));
    mkdirSync(tmp.at('root/work/some/layers'), { recursive: true });
    writeFileSync(tmp.at('root/work/some/layers/file'), Buffer.alloc(MIB, 1));
    const first = await store.usage({ inUse: () => [imageId(one)] });
    expectNear(first.total, du(tmp.at('root')));
    const again = await store.usage({ inUse: () => [imageId(one)] });
    expect(again).toEqual({ ...first, total: again.total });
    expect(first).toMatchObject({ layers: { count: 3 }, blobs: { count: 3 + 4 + 2 }, downloads: { count: 1 } });
    const [a, b] = first.images;
    for (const image of first.images) expect(image.sizeBytes).toBe(image.sharedBytes + image.uniqueBytes);
    expect(a?.sharedBytes).toBeGreaterThan(
      du(join(tmp.at('root/layers'), readdirSync(tmp.at('root/layers'))[0] ?? '')) / 2,
    );
    expect(first.reclaimableBytes).toBe(first.images.find(({ id }) => id === imageId(two))?.uniqueBytes);
    expect((a?.uniqueBytes ?? 0) + (b?.uniqueBytes ?? 0)).toBeLessThan(first.layers.bytes + first.blobs.bytes);

    const before = du(tmp.at('root'));
    const { reclaimedBytes } = await store.prune({ all: true, inUse: () => [imageId(one)] });
    expectNear(du(tmp.at('root')), before - reclaimedBytes);
    expect(reclaimedBytes).toBeGreaterThan(first.reclaimableBytes + 3 * MIB);
    expectNear((await store.usage()).total, du(tmp.at('root')));
  });

  it('is measured once for each layer', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const { layerDirs } = await store.write(await made('none', 'x'), { names: ['x'] });
    const { layers } = await store.usage();
    writeFileSync(join(layerDirs[0] ?? '', 'nobody writes here'), Buffer.alloc(MIB, 1));
    expect((await store.usage()).layers).toEqual(layers);
    expect(readdirSync(tmp.at('layers')).toSorted()).toHaveLength(2);
  });
});

describeRoot('prune', () => {
  const dated = (image: Image, created: string, labels: Record<string, string> = {}): Image =>
    withConfig(image, { created, config: { Labels: labels } });

  it('takes images without a name, or all that are not in use', async () => {
    using tmp = scratch();
    const inUse: string[] = [];
    const store = await openImageStore({ rootDir: tmp.dir, layersInUse: () => [] });
    const images = await Promise.all(['a', 'b', 'c'].map((name) => made('none', 'base', name)));
    const [a, b, c] = images as [Image, Image, Image];
    await store.write(a, { names: ['moved'] });
    await store.write(b, { names: ['moved', 'also/moved:2'] });
    await store.write(c, { names: ['c'] });
    const first = await store.prune();
    expect(first).toMatchObject({ untagged: [], deleted: [imageId(a), expect.stringMatching(/^sha256:/)] });
    expect(first.reclaimedBytes).toBeGreaterThan(0);
    expect(await store.prune()).toEqual({ untagged: [], deleted: [], reclaimedBytes: 0 });
    inUse.push(imageId(c));
    const second = await store.prune({ all: true, inUse: () => inUse });
    expect(second).toMatchObject({ untagged: ['also/moved:2', 'moved:latest'] });
    expect(second.deleted[0]).toBe(imageId(b));
    expect((await store.list()).map(({ id }) => id)).toEqual([imageId(c)]);
    await store.prune({ all: true });
    for (const dir of ['layers', 'work', 'content/blobs/sha256']) expect(readdirSync(tmp.at(dir))).toEqual([]);
  });

  it('takes only what fits the filters', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const write = async (name: string, created: string, labels: Record<string, string>): Promise<void> => {
      await store.write(dated(await made('none', name), created, labels), { names: [name] });
    };
    await write('old', '2020-01-01T00:00:00Z', { keep: 'no' });
    await write('kept', '2020-01-01T00:00:00Z', { keep: 'yes' });
    await write('new', '2026-01-01T00:00:00Z', { keep: 'no' });
    const untagged = async (options: Parameters<typeof store.prune>[0]): Promise<readonly string[]> =>
      (await store.prune({ all: true, ...options })).untagged;
    const until = new Date('2023-01-01');
    expect(await untagged({ labels: ['other'] })).toEqual([]);
    expect(await untagged({ labels: ['!keep'] })).toEqual([]);
    expect(await untagged({ until, labels: ['keep', '!keep=yes'] })).toEqual(['old:latest']);
    expect(await untagged({ labels: ['keep=yes'] })).toEqual(['kept:latest']);
    expect(await untagged({ until })).toEqual([]);
    expect(await untagged({})).toEqual(['new:latest']);
  });

  it('takes downloads that nobody works on, and a sweep those that are old', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ pauseMs: 1 });
    const store = await openImageStore({ rootDir: tmp.dir });
    const layers = [seededLayer(20 * MIB, 1), seededLayer(20 * MIB, 2)];
    for (const [i, layer] of layers.entries()) {
      registry.blobs.set(layer.digest, layer);
      await registry.add('app', String(i), { ...imageOfContent(layer), layers: [] });
    }
    await using client = openRegistryClient();
    const abandon = async (tag: string): Promise<void> => {
      for await (const event of pullImage(store, client, `${registry.domain}/app:${tag}`))
        if (event.type === 'layer' && event.currentBytes > 2 * MIB) break;
    };
    await abandon('0');
    const old = tmp.at(join('downloads', readdirSync(tmp.at('downloads'))[0] ?? ''));
    expect(await store.sweep()).toMatchObject({ downloads: 0 });
    utimesSync(join(old, 'progress'), new Date(0), new Date(0));
    expect(await store.sweep()).toMatchObject({ downloads: 1 });
    await abandon('0');
    // One that is on its way stays.
    for await (const event of pullImage(store, client, `${registry.domain}/app:1`)) {
      if (event.type !== 'layer' || event.currentBytes < MIB || !existsSync(old)) continue;
      expect((await store.prune()).reclaimedBytes).toBeGreaterThan(MIB);
      expect(existsSync(old)).toBe(false);
    }
    expect((await store.list()).map(({ sizeBytes }) => sizeBytes)).toEqual([20 * MIB]);
    expect(readdirSync(tmp.at('downloads'))).toEqual([]);
  });
});

describeRoot('a full disk', () => {
  it('ends a pull in one word, wherever it happens, and leaves room again', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    await using client = openRegistryClient();
    const layer = seededLayer(8 * MIB);
    registry.blobs.set(layer.digest, layer);
    await registry.add('app', '1', { ...imageOfContent(layer), layers: [] });
    mkdirSync(tmp.at('small'));
    // The layer fits twice into the largest.
    for (const size of ['1m', '6m', '12m', '15m', '24m']) {
      mount('tmpfs', tmp.at('small'), 'tmpfs', 0, `size=${size}`);
      try {
        const store = await openImageStore({ rootDir: tmp.at('small/root') });
        const before = du(tmp.at('small'));
        const pulling = allOf(pullImage(store, client, `${registry.domain}/app:1`));
        if (size === '24m') await pulling;
        else {
          await expect(pulling).rejects.toMatchObject({ name: 'ImageError', code: 'LAYER_FAILED', errno: 'ENOSPC' });
          expect(readdirSync(tmp.at('small/root/work'))).toEqual([]);
          expect(readdirSync(tmp.at('small/root/downloads'))).toEqual([]);
          expect(du(tmp.at('small')) - before).toBeLessThan(16 * 1024);
        }
        await store.usage();
      } finally {
        umount2(tmp.at('small'), MNT_DETACH);
      }
    }
    expect(statSync(tmp.at('small')).isDirectory()).toBe(true);
  });
});
