import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  digestOf,
  emptyImage,
  imageId,
  layerFromFiles,
  openImageStore,
  openRegistryClient,
  pullImage,
  type Image,
  type PullOptions,
  type RegistryClientOptions,
  type StoredImage,
} from '../src/index.ts';
import { contentOf, startHostileRegistry, type HostileRegistry } from './hostile-registry.ts';
import { scratch } from './scratch.ts';
import { imageOfContent, seededLayer } from './seeded-layer.ts';

const MIB = 1024 ** 2;

/** Three layers, one of them in several parts. */
const made = async (bigBytes: number = 100_000): Promise<Image> => {
  let image = emptyImage();
  for (const [name, size] of [
    ['a', 1000],
    ['b', bigBytes],
    ['c', 1000],
  ] as const)
    image = appendLayer(image, await layerFromFiles([{ path: name, content: Buffer.alloc(size, `${name} is noise`) }]));
  return image;
};

const pull = async (
  rootDir: string,
  reference: string,
  options: PullOptions & { readonly client?: RegistryClientOptions } = {},
): Promise<StoredImage> => {
  const store = await openImageStore({ rootDir });
  await using client = openRegistryClient(options.client ?? { retry: { minDelayMs: 1 } });
  for await (const event of pullImage(store, client, reference, options))
    if (event.type === 'pulled') return event.image;
  throw new Error('no image');
};

/** Every path below a directory, with its size: what is left behind. */
const inventory = (dir: string, at: string = ''): readonly string[] =>
  readdirSync(join(dir, at))
    .toSorted()
    .flatMap((name) => {
      const path = join(at, name);
      const stat = lstatSync(join(dir, path));
      return stat.isDirectory() ? [path, ...inventory(dir, path)] : [`${path} ${String(stat.size)}`];
    });

/** A store that has made all the directories it will ever have, and another image whose files must stay. */
const settled = async (rootDir: string): Promise<readonly string[]> => {
  const store = await openImageStore({ rootDir });
  await using registry = await startHostileRegistry();
  await registry.add('other', '1', appendLayer(emptyImage(), await layerFromFiles([{ path: 'other', content: 'x' }])));
  await pull(rootDir, `${registry.domain}/other:1`);
  expect(await store.list()).toHaveLength(1);
  return inventory(rootDir);
};

const bodyOf = (image: Image, at: number): string => image.layers[at]?.descriptor.digest ?? '';

describeRoot('a registry that throttles', () => {
  it('is asked again when it says', async () => {
    using tmp = scratch();
    const refused = new Map<string, number>();
    await using registry = await startHostileRegistry({
      intercept: (request: IncomingMessage, response: ServerResponse) => {
        const times = (refused.get(request.url ?? '') ?? 0) + 1;
        refused.set(request.url ?? '', times);
        if (times > 1) return false;
        response.writeHead(429, { 'retry-after': '1', 'content-type': 'application/json' });
        response.end('{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}');
        return true;
      },
    });
    const image = await made();
    await registry.add('app', '1', image);
    const begun = performance.now();
    expect((await pull(tmp.dir, `${registry.domain}/app:1`)).id).toBe(imageId(image));
    expect(performance.now() - begun).toBeGreaterThan(2000);
    // The manifest, the config and each layer: once refused, once given.
    expect(registry.requests).toHaveLength(10);
  });

  it('is given up when it goes on, leaving what came', async () => {
    using tmp = scratch();
    const before = await settled(tmp.dir);
    await using registry = await startHostileRegistry({
      intercept: (request: IncomingMessage, response: ServerResponse) => {
        if (request.url?.includes('/blobs/') !== true) return false;
        response.writeHead(429, { 'retry-after': '0' });
        response.end();
        return true;
      },
    });
    await registry.add('app', '1', await made());
    const client = { retry: { minDelayMs: 1, attempts: 3 } };
    await expect(pull(tmp.dir, `${registry.domain}/app:1`, { client })).rejects.toMatchObject({
      code: 'REGISTRY_THROTTLED',
    });
    expect(inventory(tmp.dir)).toEqual(before);
  });
});

describeRoot('a registry that drops each connection after 50 MB', () => {
  it('gives all of a layer, of which little is sent twice', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ dropAfterBytes: 50_000_000 });
    const layer = seededLayer(200 * MIB);
    const image = imageOfContent(layer);
    registry.blobs.set(layer.digest, layer);
    await registry.add('app', '1', { ...image, layers: [] });
    for (const parallelChunks of [1, 3]) {
      registry.sentBytes = 0;
      const rootDir = tmp.at(String(parallelChunks));
      const stored = await pull(rootDir, `${registry.domain}/app:1`, { parallelChunks });
      expect(stored.sizeBytes).toBe(200 * MIB);
      expect(registry.sentBytes).toBeLessThan(layer.size * 1.05);
      expect(readdirSync(join(rootDir, 'downloads'))).toEqual([]);
    }
  }, 120_000);

  it('is given up when it drops all and gives nothing', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ dropAfterBytes: 1 });
    registry.behaviour.intercept = (request, response) => {
      if (request.url?.includes('/blobs/') !== true) return false;
      response.socket?.destroy();
      return true;
    };
    await registry.add('app', '1', await made());
    await expect(pull(tmp.dir, `${registry.domain}/app:1`)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  });
});

describeRoot('a registry that lies', () => {
  const flip = (bytes: Buffer): Buffer => {
    const other = Buffer.from(bytes);
    other[100] = (other[100] ?? 0) ^ 1;
    return other;
  };

  it.each<[string, string, (registry: HostileRegistry, image: Image) => void]>([
    [
      'about the bytes of a layer',
      'CONTENT_MISMATCH',
      (registry, image) => {
        registry.behaviour.spoil = (digest, bytes) => (digest === bodyOf(image, 1) ? flip(bytes) : bytes);
      },
    ],
    [
      'about a byte in a later part of a layer',
      'CONTENT_MISMATCH',
      (registry, image) => {
        registry.behaviour.spoil = (digest, bytes, offset) =>
          digest === bodyOf(image, 1) && offset >= 33 * MIB && offset < 34 * MIB ? flip(bytes) : bytes;
      },
    ],
    [
      'about everything in a layer',
      'CONTENT_MISMATCH',
      (registry, image) => {
        registry.behaviour.spoil = (digest, bytes) =>
          digest === bodyOf(image, 2) ? Buffer.alloc(bytes.length, 7) : bytes;
      },
    ],
    [
      'and gives a shorter layer',
      'CONTENT_MISMATCH',
      (registry, image) => {
        registry.blobs.set(bodyOf(image, 0), contentOf(Buffer.alloc(600)));
      },
    ],
    [
      'and gives a longer layer',
      'CONTENT_MISMATCH',
      (registry, image) => {
        registry.blobs.set(bodyOf(image, 0), contentOf(Buffer.alloc(60_000)));
      },
    ],
    [
      'about the config',
      'CONTENT_MISMATCH',
      (registry, image) => {
        registry.behaviour.spoil = (digest, bytes) => (digest === imageId(image) ? flip(bytes) : bytes);
      },
    ],
    [
      'about a manifest that was asked for by its digest',
      'CONTENT_MISMATCH',
      (registry, image) => {
        const bytes = Buffer.from(image.manifestBytes.toString().replace('{', '{ '));
        const mediaType = image.manifest.mediaType ?? '';
        registry.manifests.set(`app/${digestOf(image.manifestBytes)}`, { bytes, mediaType });
      },
    ],
    [
      'about the diff id',
      'CONTENT_MISMATCH',
      (registry, image) => {
        const diffIds = image.config.rootfs.diff_ids.toReversed();
        const config = Buffer.from(JSON.stringify({ ...image.config, rootfs: { type: 'layers', diff_ids: diffIds } }));
        const manifest = {
          ...image.manifest,
          config: { ...image.manifest.config, digest: digestOf(config), size: config.length },
        };
        registry.blobs.set(digestOf(config), contentOf(config));
        const bytes = Buffer.from(JSON.stringify(manifest));
        registry.manifests.set(`app/${digestOf(image.manifestBytes)}`, {
          bytes,
          mediaType: image.manifest.mediaType ?? '',
        });
        registry.addManifest('app/1', bytes, image.manifest.mediaType ?? '');
      },
    ],
    [
      'about how many layers there are',
      'IMAGE_INVALID',
      (registry, image) => {
        const bytes = Buffer.from(JSON.stringify({ ...image.manifest, layers: image.manifest.layers.slice(1) }));
        registry.addManifest('app/1', bytes, image.manifest.mediaType ?? '');
      },
    ],
    [
      'with a document that is index and manifest at once',
      'DOCUMENT_INVALID',
      (registry, image) => {
        const bytes = Buffer.from(JSON.stringify({ ...image.manifest, manifests: [] }));
        registry.addManifest('app/1', bytes, image.manifest.mediaType ?? '');
      },
    ],
    [
      'with a manifest of another type than it says',
      'DOCUMENT_INVALID',
      (registry, image) => {
        registry.addManifest('app/1', image.manifestBytes, 'application/vnd.oci.image.index.v1+json');
      },
    ],
  ])('%s leaves nothing behind', async (name, code, spoil) => {
    using tmp = scratch();
    const before = await settled(tmp.dir);
    await using registry = await startHostileRegistry();
    const image = await made(40 * MIB);
    await registry.add('app', '1', image);
    spoil(registry, image);
    const reference = name.includes('by its digest') ? `app@${digestOf(image.manifestBytes)}` : 'app:1';
    await expect(pull(tmp.dir, `${registry.domain}/${reference}`)).rejects.toMatchObject({ name: 'ImageError', code });
    expect(inventory(tmp.dir)).toEqual(before);
  });

  it('by a header about the digest is found out, or not believed', async () => {
    using tmp = scratch();
    const before = await settled(tmp.dir);
    await using registry = await startHostileRegistry();
    const image = await made();
    await registry.add('app', '1', image);
    registry.behaviour.intercept = (request, response) => {
      if (request.url?.includes('/manifests/') !== true) return false;
      response.writeHead(200, {
        'content-type': image.manifest.mediaType ?? '',
        'docker-content-digest': digestOf('something else'),
        'content-length': image.manifestBytes.length,
      });
      response.end(request.method === 'HEAD' ? undefined : image.manifestBytes);
      return true;
    };
    await expect(pull(tmp.dir, `${registry.domain}/app:1`)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    expect(inventory(tmp.dir)).toEqual(before);
  });

  it('can be pulled from when it has come clean', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const image = await made(40 * MIB);
    await registry.add('app', '1', image);
    registry.behaviour.spoil = (digest, bytes) => (digest === bodyOf(image, 1) ? flip(bytes) : bytes);
    await expect(pull(tmp.dir, `${registry.domain}/app:1`)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    registry.behaviour.spoil = undefined;
    const { layerDirs } = await pull(tmp.dir, `${registry.domain}/app:1`);
    expect(readFileSync(join(layerDirs[1] ?? '', 'b')).length).toBe(40 * MIB);
  });
});

describeRoot('what a disk has spoilt of a download', () => {
  it('is fetched anew', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry({ pauseMs: 1 });
    const image = await made(20 * MIB);
    await registry.add('app', '1', image);
    const stop = new AbortController();
    const aborted = pull(tmp.dir, `${registry.domain}/app:1`, { signal: stop.signal });
    const timer = setInterval(() => {
      if (registry.sentBytes > 8 * MIB) stop.abort();
    }, 5);
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    clearInterval(timer);
    registry.behaviour.pauseMs = undefined;
    const data = tmp.at(join('downloads', bodyOf(image, 1).slice('sha256:'.length), 'data'));
    expect(existsSync(data)).toBe(true);
    const { openSync, writeSync, closeSync } = await import('node:fs');
    const fd = openSync(data, 'r+');
    writeSync(fd, 'spoilt', 2 * MIB);
    closeSync(fd);
    const { layerDirs } = await pull(tmp.dir, `${registry.domain}/app:1`);
    expect(readFileSync(join(layerDirs[1] ?? '', 'b')).includes('spoilt')).toBe(false);
  });
});

describeRoot('a registry that drips', () => {
  it('is given up, and what came is kept', async () => {
    using tmp = scratch();
    await using registry = await startHostileRegistry();
    const image = await made();
    await registry.add('app', '1', image);
    registry.behaviour.pauseMs = 20;
    registry.behaviour.pieceBytes = 1;
    const begun = performance.now();
    await expect(pull(tmp.dir, `${registry.domain}/app:1`, { stallMs: 200 })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    });
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(readdirSync(tmp.at('work'))).toEqual([]);
    registry.behaviour.pauseMs = undefined;
    registry.behaviour.pieceBytes = undefined;
    await pull(tmp.dir, `${registry.domain}/app:1`);
  });
});

describeRoot('a registry without ranges', () => {
  it('gives a large layer in one stream', async () => {
    using tmp = scratch();
    // About as fast as a network.
    await using registry = await startHostileRegistry({ ignoreRange: true, pauseMs: 1 });
    const layer = seededLayer(128 * MIB);
    registry.blobs.set(layer.digest, layer);
    await registry.add('app', '1', { ...imageOfContent(layer), layers: [] });
    expect((await pull(tmp.dir, `${registry.domain}/app:1`)).sizeBytes).toBe(128 * MIB);
    // To find it out costs some parts, however large the layer is; all in parts would cost 450 MiB.
    expect(registry.sentBytes - layer.size).toBeLessThan(100 * MIB);
  });
});
