import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  composeArtifact,
  composeIndex,
  emptyImage,
  imageArtifact,
  imageId,
  layerFromFiles,
  manifestDigest,
  openImageStore,
  openRegistryClient,
  pullImage,
  withConfig,
  type Image,
  type PulledImage,
  type PullEvent,
  type PullOptions,
} from '../src/index.ts';
import { startHostileRegistry } from './hostile-registry.ts';
import { scratch } from './scratch.ts';

const made = async (architecture: string, ...contents: string[]): Promise<Image> => {
  let image = withConfig(emptyImage({ architecture }), { config: { Cmd: ['/bin/sh'] } });
  for (const content of contents)
    image = appendLayer(image, await layerFromFiles([{ path: `/files/${content}`, content }], { compression: 'gzip' }));
  return image;
};

/** Everything that a store's directories have. */
const contents = (dir: string): readonly string[] =>
  ['layers', 'work', 'downloads', 'content/blobs/sha256'].flatMap((name) =>
    existsSync(join(dir, name)) ? readdirSync(join(dir, name)) : [],
  );

const HERE = process.arch === 'x64' ? 'amd64' : process.arch;
const THERE = HERE === 'arm64' ? 'amd64' : 'arm64';

describeRoot('pullImage', () => {
  const pull = async (
    rootDir: string,
    reference: string,
    options: PullOptions = {},
  ): Promise<PulledImage & { readonly events: readonly PullEvent[] }> => {
    const store = await openImageStore({ rootDir });
    await using client = openRegistryClient({ retry: { minDelayMs: 1 } });
    const events: PullEvent[] = [];
    for await (const event of pullImage(store, client, reference, options)) events.push(event);
    const last = events.at(-1);
    if (last?.type !== 'pulled') throw new Error('no last event');
    return { ...last, events };
  };

  it('stores, unpacks and names an image, in as few requests as there are parts', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const image = await made(HERE, 'lower', 'upper');
    const digest = await registry.add('team/app', '1', image);
    const name = `${registry.domain}/team/app:1`;
    const pulled = await pull(tmp.dir, name);
    expect(pulled).toMatchObject({ digest, changed: true });
    expect(pulled.image).toMatchObject({
      id: imageId(image),
      names: [name],
      repoDigests: [`${registry.domain}/team/app@${digest}`],
      manifestDigest: digest,
      sizeBytes: 10,
    });
    expect(pulled.image.layers.map(({ digest: blob, sizeBytes }) => [blob, sizeBytes])).toEqual(
      image.layers.map(({ descriptor }) => [descriptor.digest, 5]),
    );
    expect(pulled.image.layerDirs.map((dir) => readdirSync(join(dir, 'files')))).toEqual([['upper'], ['lower']]);
    expect(registry.requests.toSorted()).toEqual(
      [
        'GET team/app/manifests/1',
        `GET team/app/blobs/${imageId(image)}`,
        ...image.layers.map(({ descriptor }) => `GET team/app/blobs/${descriptor.digest}`),
      ].toSorted(),
    );
    expect([readdirSync(tmp.at('work')), readdirSync(tmp.at('downloads'))]).toEqual([[], []]);
    const layers = pulled.events.filter((event) => event.type === 'layer');
    for (const { descriptor } of image.layers) {
      const statuses = layers.filter((event) => event.digest === descriptor.digest).map(({ status }) => status);
      expect([statuses[0], statuses.at(-1)]).toEqual(['waiting', 'done']);
    }
    const store = await openImageStore({ rootDir: tmp.dir });
    expect(await store.resolve(`${registry.domain}/team/app@${digest}`)).toEqual(pulled.image);
  });

  it('asks once whether anything is new', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const name = `${registry.domain}/app:1`;
    await registry.add('app', '1', await made(HERE, 'one'));
    const first = await pull(tmp.dir, name);
    registry.requests.length = 0;
    expect(await pull(tmp.dir, name)).toMatchObject({ image: first.image, digest: first.digest, changed: false });
    expect(registry.requests).toEqual(['HEAD app/manifests/1']);
    registry.requests.length = 0;
    expect(await pull(tmp.dir, `${registry.domain}/app@${first.digest}`)).toMatchObject({ changed: false });
    expect(registry.requests).toEqual([]);
    const image = await made(HERE, 'one', 'two');
    await registry.add('app', '1', image);
    const second = await pull(tmp.dir, name);
    expect(second).toMatchObject({ changed: true, image: { id: imageId(image), names: [name] } });
    // The lower layer is there.
    expect(registry.requests.filter((request) => request.includes('/blobs/'))).toHaveLength(2);
    const store = await openImageStore({ rootDir: tmp.dir });
    expect(await store.resolve(first.image.id)).toMatchObject({ names: [], repoDigests: first.image.repoDigests });
  });

  it('takes the image of an index for this machine, or the one that is wanted', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const [here, there] = [await made(HERE, 'here'), await made(THERE, 'there')];
    for (const image of [here, there]) await registry.add('multi', 'unused', image);
    const index = composeIndex([here, there]);
    const digest = registry.addManifest('multi/latest', index.bytes, index.descriptor.mediaType);
    const name = `${registry.domain}/multi`;
    registry.requests.length = 0;
    const pulled = await pull(tmp.dir, name);
    expect(pulled).toMatchObject({
      digest,
      image: { id: imageId(here), manifestDigest: manifestDigest(here), repoDigests: [`${name}@${digest}`] },
    });
    expect(registry.requests).toHaveLength(4);
    registry.requests.length = 0;
    expect(await pull(tmp.dir, name)).toMatchObject({ changed: false });
    expect(registry.requests).toEqual(['HEAD multi/manifests/latest']);
    const other = await pull(tmp.dir, name, { platform: { os: 'linux', architecture: THERE } });
    expect(other).toMatchObject({ changed: true, image: { id: imageId(there), names: [`${name}:latest`] } });
    // The index is known.
    expect(registry.requests.slice(1).toSorted()).toEqual(
      [
        'HEAD multi/manifests/latest',
        `GET multi/manifests/${manifestDigest(there)}`,
        `GET multi/blobs/${imageId(there)}`,
        `GET multi/blobs/${there.layers[0]?.descriptor.digest ?? ''}`,
      ].toSorted(),
    );
    await expect(pull(tmp.dir, name, { platform: { os: 'plan9', architecture: 'mips' } })).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
    });
    const store = await openImageStore({ rootDir: tmp.dir });
    expect(await store.sweep()).toMatchObject({ blobs: [], layers: [] });
  });

  it('fetches by digest without giving a name, which goes with the digest', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const digest = await registry.add('app', '1', await made(HERE, 'x'));
    const reference = `${registry.domain}/app@${digest}`;
    expect((await pull(tmp.dir, reference)).image).toMatchObject({ names: [], repoDigests: [reference] });
    const store = await openImageStore({ rootDir: tmp.dir });
    expect(await store.remove(reference)).toMatchObject({ untagged: [reference] });
    expect(contents(tmp.dir)).toEqual([]);
  });

  it('fetches equal layers once, and one large layer in parts', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const noise = Buffer.alloc(40 * 1024 ** 2, 'noise that repeats');
    const layer = await layerFromFiles([{ path: 'big', content: noise }]);
    const image = appendLayer(appendLayer(emptyImage(), layer), layer);
    await registry.add('big', '1', image);
    const { image: stored, events } = await pull(tmp.dir, `${registry.domain}/big:1`);
    expect(stored.layerDirs.map((dir) => readFileSync(join(dir, 'big')).equals(noise))).toEqual([true, true]);
    expect(registry.requests.filter((request) => request.includes(layer.descriptor.digest))).toHaveLength(3);
    expect(registry.sentBytes).toBe(layer.descriptor.size + image.configBytes.length);
    // Cheap to read along: some events a second.
    expect(events.length).toBeLessThan(100);
  });

  it.each<
    [string, string, (registry: Awaited<ReturnType<typeof startHostileRegistry>>) => Promise<unknown> | undefined]
  >([
    ['nothing', 'REGISTRY_NOT_FOUND', () => undefined],
    [
      'an artifact',
      'IMAGE_INVALID',
      (registry) => {
        const artifact = composeArtifact({ artifactType: 'application/x.sbom', blobs: [] });
        registry.addManifest('app/1', artifact.bytes, artifact.descriptor.mediaType);
        return undefined;
      },
    ],
    [
      'a manifest of the first days',
      'DOCUMENT_INVALID',
      (registry) => {
        const bytes = Buffer.from('{"schemaVersion":1,"fsLayers":[]}');
        registry.addManifest('app/1', bytes, 'application/vnd.docker.distribution.manifest.v1+prettyjws');
        return undefined;
      },
    ],
    [
      'a manifest of no known type',
      'DOCUMENT_INVALID',
      async (registry) => {
        const text = (await made(HERE, 'x')).manifestBytes.toString();
        const bytes = Buffer.from(text.replace('application/vnd.oci.image.manifest.v1+json', 'application/x+json'));
        registry.addManifest('app/1', bytes, 'application/x+json');
      },
    ],
    [
      'layers that are no archives',
      'IMAGE_INVALID',
      async (registry) => {
        const image = await made(HERE, 'x');
        const { bytes, descriptor } = imageArtifact(image);
        await registry.add('app', '1', image);
        const other = bytes.toString().replace('layer.v1.tar+gzip', 'layer.v1.tar+gzip+encrypted');
        registry.addManifest('app/1', Buffer.from(other), descriptor.mediaType);
      },
    ],
    [
      'a foreign layer',
      'IMAGE_INVALID',
      async (registry) => {
        const image = await made(HERE, 'x');
        const { bytes, descriptor } = imageArtifact(image);
        await registry.add('app', '1', image);
        const other = bytes
          .toString()
          .replace('layer.v1.tar+gzip"', 'layer.nondistributable.v1.tar+gzip","urls":["http://127.0.0.1:1/x"]');
        registry.addManifest('app/1', Buffer.from(other), descriptor.mediaType);
        registry.blobs.delete(image.layers[0]?.descriptor.digest ?? '');
      },
    ],
  ])('refuses %s, and leaves nothing', async (_name, code, prepare) => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    await prepare(registry);
    await expect(pull(tmp.dir, `${registry.domain}/app:1`)).rejects.toMatchObject({ name: 'ImageError', code });
    expect(contents(tmp.dir)).toEqual([]);
  });

  it('keeps what came when it is aborted, and what is stored of it later', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ pauseMs: 1 });
    const layer = await layerFromFiles([{ path: 'big', content: Buffer.alloc(20 * 1024 ** 2, 'abc') }]);
    const image = appendLayer(emptyImage(), layer);
    await registry.add('app', '1', image);
    const store = await openImageStore({ rootDir: tmp.dir });
    await using client = openRegistryClient();
    for await (const event of pullImage(store, client, `${registry.domain}/app:1`))
      if (event.type === 'layer' && event.currentBytes > 4 * 1024 ** 2) break;
    expect(readdirSync(tmp.at('work'))).toEqual([]);
    expect(contents(tmp.dir)).toEqual([layer.descriptor.digest.slice('sha256:'.length)]);
    const before = registry.sentBytes;
    registry.behaviour.pauseMs = undefined;
    await pull(tmp.dir, `${registry.domain}/app:1`);
    expect(registry.sentBytes - before).toBeLessThan(layer.descriptor.size - 2 * 1024 ** 2);
    expect(readdirSync(tmp.at('downloads'))).toEqual([]);
  });
});
