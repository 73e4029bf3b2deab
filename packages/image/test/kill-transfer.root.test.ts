import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  digestHex,
  emptyImage,
  imageId,
  layerFromFiles,
  openImageStore,
  type Compression,
  type Image,
  type ImageStore,
} from '../src/index.ts';
import { startHostileRegistry, type HostileRegistry } from './hostile-registry.ts';
import { scratch } from './scratch.ts';
import { imageOfContent, seededLayer } from './seeded-layer.ts';
import { startTransfer } from './transfer-process.ts';

const MIB = 1024 ** 2;
const KILLS = 10;

const made = async (compression: Compression): Promise<Image> => {
  let image = emptyImage();
  for (const name of ['a', 'b', 'c', 'd']) {
    const files = Array.from({ length: 300 }, (_, i) => ({
      path: `${name}/${String(i)}`,
      content: `${name}${String(i)}`,
    }));
    const noise = Buffer.from(Array.from({ length: MIB }, (_, i) => (i * i * name.charCodeAt(0)) % 251));
    image = appendLayer(
      image,
      await layerFromFiles([...files, { path: `${name}/noise`, content: noise }], { compression }),
    );
  }
  return image;
};

/** What is named is whole, and what is not named is at most a download that goes on. */
const expectClean = async (store: ImageStore, rootDir: string): Promise<void> => {
  for (const { layerDirs } of await store.list()) expect(layerDirs.map((dir) => existsSync(dir))).not.toContain(false);
  await store.sweep();
  expect(readdirSync(join(rootDir, 'work'))).toEqual([]);
  if ((await store.list()).length > 0) return;
  for (const dir of ['layers', 'content/blobs/sha256']) expect(readdirSync(join(rootDir, dir))).toEqual([]);
};

const filesIn = (dir: string): number =>
  readdirSync(dir, { recursive: true }).filter((name) => lstatSync(join(dir, String(name))).isFile()).length;

/** From before the process has begun until about when it is done. */
const momentsOf = (durationMs: number): readonly number[] =>
  Array.from({ length: KILLS }, (_, i) => (durationMs * (i + Math.random())) / KILLS);

const timed = async (act: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
};

describeRoot('a killed pull', () => {
  it('of a layer of 1 GB goes on where it was', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const layer = seededLayer(1000 * MIB);
    registry.blobs.set(layer.digest, layer);
    await registry.add('app', '1', { ...imageOfContent(layer), layers: [] });
    const name = `${registry.domain}/app:1`;
    const first = startTransfer('pull', tmp.dir, name);
    while (registry.sentBytes < layer.size * 0.9) await sleep(5);
    first.child.kill('SIGKILL');
    expect(await first.exited).toEqual([null, 'SIGKILL']);
    expect(readdirSync(tmp.at('downloads'))).toEqual([digestHex(layer.digest)]);
    expect(await startTransfer('pull', tmp.dir, name).exited).toEqual([0, null]);
    expect(registry.sentBytes).toBeLessThan(layer.size * 1.05);
    const store = await openImageStore({ rootDir: tmp.dir });
    const { layerDirs, layers } = await store.resolve(name);
    expect(layers).toMatchObject([{ digest: layer.digest, sizeBytes: 1000 * MIB }]);
    expect(lstatSync(join(layerDirs[0] ?? '', 'noise')).size).toBe(1000 * MIB);
    // One copy: the blob is what was downloaded.
    expect(readdirSync(tmp.at('downloads'))).toEqual([]);
    await store.sweep();
    expect(readdirSync(tmp.at('work'))).toEqual([]);
  }, 180_000);

  it('leaves whole images or none, and what the next one goes on with', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const image = await made('gzip');
    await registry.add('app', '1', image);
    const name = `${registry.domain}/app:1`;
    mkdirSync(tmp.at('timed'));
    const durationMs = await timed(() => startTransfer('pull', tmp.at('timed'), name).exited);
    const store = await openImageStore({ rootDir: tmp.at('store') });
    for (const moment of momentsOf(durationMs * 1.1)) {
      const { child, exited } = startTransfer('pull', tmp.at('store'), name);
      await sleep(moment);
      child.kill('SIGKILL');
      await exited;
      await expectClean(store, tmp.at('store'));
      if ((await store.list()).length > 0) await store.remove(name);
    }
    expect(await startTransfer('pull', tmp.at('store'), name).exited).toEqual([0, null]);
    const { id, layerDirs } = await store.resolve(name);
    expect([id, ...layerDirs.map(filesIn)]).toEqual([imageId(image), 301, 301, 301, 301]);
    expect(readdirSync(tmp.at('store/downloads'))).toEqual([]);
  }, 180_000);
});

const expectWhole = (registry: HostileRegistry, diffIds: number): void => {
  const manifest = registry.manifests.get('app/1');
  const { config, layers } = JSON.parse(String(manifest?.bytes)) as Image['manifest'];
  expect(layers).toHaveLength(diffIds);
  expect([config, ...layers].map(({ digest }) => registry.blobs.has(digest))).not.toContain(false);
};

describeRoot('a killed push', () => {
  it('leaves a whole image or none there, and nothing here', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const store = await openImageStore({ rootDir: tmp.dir });
    const image = await made('none');
    const name = `${registry.domain}/app:1`;
    await store.write(image, { names: [name] });
    const durationMs = await timed(() => startTransfer('push', tmp.dir, name).exited);
    await store.remove(name);
    await store.write(image, { names: [name] });
    const blobs = readdirSync(tmp.at('content/blobs/sha256')).length;
    for (const moment of momentsOf(durationMs)) {
      for (const map of [registry.manifests, registry.blobs]) map.clear();
      const { child, exited } = startTransfer('push', tmp.dir, name);
      await sleep(moment);
      child.kill('SIGKILL');
      await exited;
      if (registry.manifests.size > 0) expectWhole(registry, 4);
      await expectClean(store, tmp.dir);
      const compressed = existsSync(tmp.at('compressed')) ? readdirSync(tmp.at('compressed')).length : 0;
      expect(readdirSync(tmp.at('content/blobs/sha256'))).toHaveLength(blobs + compressed);
    }
    expect(await startTransfer('push', tmp.dir, name).exited).toEqual([0, null]);
    expectWhole(registry, 4);
  }, 180_000);
});
