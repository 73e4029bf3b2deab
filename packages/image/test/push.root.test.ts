import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  composeArtifact,
  composeIndex,
  digestHex,
  emptyImage,
  imageId,
  layerFromFiles,
  manifestDigest,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  openImageStore,
  openRegistryClient,
  pullImage,
  pushArtifact,
  pushImage,
  recompressImage,
  withConfig,
  type Compression,
  type Image,
  type ImageStore,
  type PullEvent,
  type Pushed,
  type PushEvent,
  type PushOptions,
} from '../src/index.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { startHostileRegistry } from './hostile-registry.ts';
import { scratch } from './scratch.ts';
import { allOf } from './transfer-events.ts';

const made = async (compression: Compression, ...contents: string[]): Promise<Image> => {
  let image = withConfig(emptyImage(), { config: { Cmd: ['/bin/sh'] } });
  for (const content of contents)
    image = appendLayer(image, await layerFromFiles([{ path: `/files/${content}`, content }], { compression }));
  return image;
};

const push = async (
  store: ImageStore,
  name: string,
  options: PushOptions = {},
): Promise<Pushed & { readonly events: readonly PushEvent[] }> => {
  await using client = openRegistryClient({ retry: { minDelayMs: 1 } });
  const events = await allOf(pushImage(store, client, name, options));
  const last = events.at(-1);
  if (last?.type !== 'pushed') throw new Error('no last event');
  return { ...last, events };
};

const pullInto = async (rootDir: string, name: string): Promise<ImageStore> => {
  const store = await openImageStore({ rootDir });
  await using client = openRegistryClient();
  await allOf(pullImage(store, client, name));
  return store;
};

const statuses = (events: readonly (PushEvent | PullEvent)[]): readonly string[] =>
  events.flatMap((event) => (event.type === 'blob' ? [event.status] : []));

describeRoot('pushImage', () => {
  it('sends what is missing, and asks once when nothing is', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const store = await openImageStore({ rootDir: tmp.at('a') });
    const image = await made('gzip', 'one', 'two');
    const name = `${registry.domain}/app:1`;
    await store.write(image, { names: [name] });
    const pushed = await push(store, name);
    expect(pushed).toMatchObject({ reference: name, descriptor: { digest: manifestDigest(image) } });
    // Is the manifest there? Each blob: is it there, where to, take it. Then the manifest.
    expect(registry.requests).toHaveLength(1 + 3 * 3 + 1);
    expect(registry.requests.at(-1)).toBe('PUT app/manifests/1');
    expect(await store.resolve(name)).toMatchObject({
      repoDigests: [`${registry.domain}/app@${manifestDigest(image)}`],
    });
    registry.requests.length = 0;
    expect(new Set(statuses((await push(store, name)).events))).toEqual(new Set(['present']));
    expect(registry.requests).toEqual(['HEAD app/manifests/1']);

    const other = appendLayer(image, await layerFromFiles([{ path: '/three', content: '3' }], { compression: 'gzip' }));
    await store.write(other, { names: [name] });
    registry.requests.length = 0;
    await push(store, name);
    // Two of the four blobs are new.
    expect(registry.requests).toHaveLength(1 + 2 + 2 * 3 + 1);
    const copy = await pullInto(tmp.at('b'), name);
    expect(await copy.resolve(name)).toMatchObject({ id: imageId(other), manifestDigest: manifestDigest(other) });
    registry.requests.length = 0;
    await pullInto(tmp.at('a'), name);
    expect(registry.requests).toEqual(['HEAD app/manifests/1']);
  });

  it.each<[Compression, string]>([
    ['gzip', OCI_LAYER_GZIP],
    ['zstd', OCI_LAYER_ZSTD],
  ])('compresses plain layers once, and keeps them for as long as an image has them: %s', async (compression, type) => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const store = await openImageStore({ rootDir: tmp.dir });
    const image = await made('none', 'one', 'two');
    const name = `${registry.domain}/app:1`;
    await store.write(image, { names: [name] });
    const first = await push(store, name, { compression });
    expect(statuses(first.events)).toContain('done');
    expect(first.descriptor.digest).not.toBe(manifestDigest(image));
    const blobs = readdirSync(tmp.at('content/blobs/sha256')).length;
    expect(blobs).toBe(2 + 2 + 2);
    const expected = await recompressImage(image, compression);
    expect(first.descriptor.digest).toBe(manifestDigest(expected));
    registry.requests.length = 0;
    const again = await push(store, name, { compression });
    expect(statuses(again.events)).not.toContain('preparing');
    expect(registry.requests).toEqual(['HEAD app/manifests/1']);
    const copied = await pullInto(tmp.at('copy'), name);
    const stored = await copied.image(name);
    expect([imageId(stored), ...stored.manifest.layers.map(({ mediaType }) => mediaType)]).toEqual([
      imageId(image),
      type,
      type,
    ]);
    // The registry's digest is known as this image's, whose manifest here is another.
    expect(await store.resolve(`${registry.domain}/app@${first.descriptor.digest}`)).toMatchObject({
      id: imageId(image),
      manifestDigest: manifestDigest(image),
    });
    expect(await store.sweep()).toMatchObject({ blobs: [] });
    await store.remove(name);
    for (const dir of ['layers', 'work', 'compressed', 'content/blobs/sha256'])
      expect(readdirSync(tmp.at(dir))).toEqual([]);
  });

  it('sends plain layers as they are when it is told so', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const store = await openImageStore({ rootDir: tmp.dir });
    const image = await made('none', 'one');
    await store.write(image, { names: ['app:1'] });
    const { descriptor } = await push(store, 'app:1', { to: `${registry.domain}/x/y:z`, compression: 'none' });
    expect(descriptor.digest).toBe(manifestDigest(image));
    expect((await store.resolve('app:1')).names).toEqual(['app:1']);
  });

  it('mounts what other repositories of the registry have', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const base = await made('gzip', 'base');
    await registry.add('library/base', '1', base);
    const store = await pullInto(tmp.dir, `${registry.domain}/library/base:1`);
    const top = await layerFromFiles([{ path: '/top', content: 'top' }], { compression: 'gzip' });
    // The same blobs may be asked for only by their repository.
    const seen = new Set<string>();
    registry.behaviour.intercept = (request, response) => {
      const isHead = request.method === 'HEAD' && request.url?.startsWith('/v2/app/blobs/') === true;
      if (!isHead || seen.has(request.url ?? '')) return false;
      response.writeHead(404);
      response.end();
      return true;
    };
    await store.write(appendLayer(base, top), { names: [`${registry.domain}/app:1`] });
    const { events } = await push(store, `${registry.domain}/app:1`);
    const ends = new Map(events.flatMap((event) => (event.type === 'blob' ? [[event.digest, event.status]] : [])));
    expect(ends.get(base.layers[0]?.descriptor.digest ?? 'sha256:')).toBe('mounted');
    expect(ends.get(top.descriptor.digest)).toBe('done');
  });

  it('refuses what is no name, and leaves nothing', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const { id } = await store.write(await made('gzip', 'x'), { names: ['app:1'] });
    await expect(push(store, id)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
    await expect(push(store, 'app:1', { to: `x@${id}` })).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
    await expect(push(store, 'nothing')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    expect(readdirSync(tmp.at('work'))).toEqual([]);
  });

  it('sends to a real registry what a real registry gives back', async () => {
    using tmp = scratch();
    await using registry = await startDockerRegistry();
    const store = await openImageStore({ rootDir: tmp.at('a') });
    const image = await made('none', 'one', 'two');
    const name = `${registry.domain}/team/app:1`;
    await store.write(image, { names: [name] });
    const { descriptor } = await push(store, name);
    const copy = await pullInto(tmp.at('b'), name);
    const pulled = await copy.resolve(name);
    expect(pulled).toMatchObject({ id: imageId(image), manifestDigest: descriptor.digest });
    expect(pulled.layerDirs.map((dir) => readdirSync(join(dir, 'files')))).toEqual([['two'], ['one']]);
    const { events } = await push(copy, name, { to: `${registry.domain}/other:1` });
    expect(new Set(statuses(events.filter((event) => event.type === 'blob' && event.status !== 'waiting')))).toEqual(
      new Set(['mounted']),
    );
  });
});

describeRoot('pushArtifact', () => {
  it('sends members before the index, and copies between registries with all digests', async () => {
    await using from = await startHostileRegistry();
    await using to = await startHostileRegistry();
    await using client = openRegistryClient();
    const images = [await made('gzip', 'a'), await made('zstd', 'b')];
    const members = images.map((image, i) => withConfig(image, { architecture: ['amd64', 'arm64'][i] }));
    const index = composeIndex(members);
    await allOf(pushArtifact(client, `${from.domain}/multi:1`, index));
    expect(from.requests.slice(-3).map((request) => request.replace(/sha256.*/, ''))).toEqual([
      'PUT multi/manifests/',
      'PUT multi/manifests/',
      'PUT multi/manifests/1',
    ]);
    const artifact = await client.repository(`${from.domain}/multi`).artifact('1');
    const events = await allOf(pushArtifact(client, `${to.domain}/copy:1`, artifact));
    expect(events.at(-1)).toMatchObject({ type: 'pushed', descriptor: { digest: index.descriptor.digest } });
    expect([...to.blobs.keys()].toSorted()).toEqual([...from.blobs.keys()].toSorted());
    to.requests.length = 0;
    await allOf(pushArtifact(client, `${to.domain}/copy:1`, artifact));
    expect(to.requests).toEqual(['HEAD copy/manifests/1']);
    // A new member: the other one is neither looked into nor sent.
    const third = withConfig(await made('gzip', 'c'), { architecture: 's390x' });
    to.requests.length = 0;
    await allOf(pushArtifact(client, `${to.domain}/copy:1`, composeIndex([...members, third])));
    expect(to.requests).toHaveLength(1 + 3 + 2 * 3 + 1 + 1);
  });

  it('sends what is no image, by its digest', async () => {
    await using registry = await startHostileRegistry();
    await using client = openRegistryClient();
    const artifact = composeArtifact({ artifactType: 'application/x.sbom', blobs: [] });
    const { digest } = artifact.descriptor;
    await allOf(pushArtifact(client, `${registry.domain}/app@${digest}`, artifact));
    expect([...registry.manifests.keys()]).toEqual([`app/${digest}`]);
    const other = `sha256:${'0'.repeat(64)}`;
    expect(() => digestHex(digest)).not.toThrow();
    await expect(allOf(pushArtifact(client, `${registry.domain}/app@${other}`, artifact))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
  });
});
