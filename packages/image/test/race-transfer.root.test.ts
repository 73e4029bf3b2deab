import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

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
  type Image,
  type Layer,
} from '../src/index.ts';
import { startHostileRegistry } from './hostile-registry.ts';
import { scratch } from './scratch.ts';
import { allOf } from './transfer-events.ts';
import { startTransfer } from './transfer-process.ts';

const MIB = 1024 ** 2;

const layerOf = (name: string, bytes: number = 100_000): Promise<Layer> =>
  layerFromFiles([{ path: `files/${name}`, content: Buffer.alloc(bytes, name) }]);

const imageOf = (layers: readonly Layer[]): Image =>
  layers.reduce<Image>((image, layer) => appendLayer(image, layer), emptyImage());

describeRoot('pulls at the same time', () => {
  it('of one image by two processes fetch it once', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ pauseMs: 1 });
    const image = imageOf([await layerOf('a', 20 * MIB), await layerOf('b'), await layerOf('c', 5 * MIB)]);
    await registry.add('app', '1', image);
    const name = `${registry.domain}/app:1`;
    const both = [startTransfer('pull', tmp.dir, name), startTransfer('pull', tmp.dir, name)];
    expect(await Promise.all(both.map(({ exited }) => exited))).toEqual([
      [0, null],
      [0, null],
    ]);
    const bytes = image.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    // Each has asked for the config.
    expect(registry.sentBytes).toBeLessThanOrEqual(bytes + 2 * image.configBytes.length);
    const store = await openImageStore({ rootDir: tmp.dir });
    const { layerDirs } = await store.resolve(name);
    expect(layerDirs.map((dir) => readdirSync(join(dir, 'files')))).toEqual([['c'], ['b'], ['a']]);
    expect([readdirSync(tmp.at('work')), readdirSync(tmp.at('downloads'))]).toEqual([[], []]);
  });

  it('of images with the same layers in another order wait for nobody in a circle', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ pauseMs: 1 });
    const layers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => layerOf(name, MIB)));
    const images = layers.map((_, i) => imageOf([...layers.slice(i), ...layers.slice(0, i)]));
    for (const [i, image] of images.entries()) await registry.add('app', String(i), image);
    const store = await openImageStore({ rootDir: tmp.dir });
    await using client = openRegistryClient();
    await Promise.all(
      images.map((_, i) =>
        allOf(pullImage(store, client, `${registry.domain}/app:${String(i)}`, { parallelLayers: 2 })),
      ),
    );
    expect(
      registry.requests.filter((request) => layers.some(({ descriptor }) => request.endsWith(descriptor.digest))),
    ).toHaveLength(5);
    expect((await store.list()).map(({ id }) => id).toSorted()).toEqual(images.map(imageId).toSorted());
    expect([readdirSync(tmp.at('work')), readdirSync(tmp.at('downloads'))]).toEqual([[], []]);
  });

  it('lose nothing to garbage collections, prunes, pushes and removals', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const shared = await layerOf('shared', MIB);
    const images = await Promise.all(
      ['p', 'q', 'r', 's'].map(async (name) => imageOf([shared, await layerOf(name, MIB)])),
    );
    for (const [i, image] of images.entries()) await registry.add('app', String(i), image);
    const store = await openImageStore({ rootDir: tmp.dir });
    await using client = openRegistryClient();
    const done = new AbortController();
    const collecting = (async () => {
      let rounds = 0;
      for (; !done.signal.aborted; rounds += 1) await (rounds % 2 === 0 ? store.sweep() : store.prune());
      return rounds;
    })();
    for (let round = 0; round < 6; round += 1) {
      await Promise.all(
        images.map(async (image, i) => {
          const name = `${registry.domain}/app:${String(i)}`;
          await allOf(pullImage(store, client, name));
          const { layerDirs } = await store.resolve(name);
          expect(layerDirs.map((dir) => readdirSync(join(dir, 'files')).length)).toEqual([1, 1]);
          await allOf(pushImage(store, client, name, { to: `${registry.domain}/copy:${String(i)}` }));
          if (i % 2 === 0) await store.remove(name);
          else expect((await store.resolve(name)).id).toBe(imageId(image));
        }),
      );
    }
    done.abort();
    expect(await collecting).toBeGreaterThan(1);
    for (const i of [1, 3]) {
      const { layerDirs } = await store.resolve(`${registry.domain}/app:${String(i)}`);
      expect(readFileSync(join(layerDirs[1] ?? '', 'files/shared')).length).toBe(MIB);
    }
    await store.sweep();
    expect([readdirSync(tmp.at('work')), readdirSync(tmp.at('downloads'))]).toEqual([[], []]);
  }, 120_000);
});
