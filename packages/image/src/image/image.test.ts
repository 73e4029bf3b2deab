import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { describe, expect, it } from '@jest/globals';

import { archiveImages } from '../archive/write.ts';
import { digestOf } from '../digest.ts';
import {
  annotate,
  appendLayer,
  composeImage,
  emptyImage,
  imageId,
  manifestDigest,
  readImage,
  withConfig,
} from './image.ts';
import { layerFromDirectory, layerFromFiles } from './layer-source.ts';
import { recompressImage } from './recompress.ts';

const collect = async (stream: Readable): Promise<Buffer> => Buffer.concat((await stream.toArray()) as Buffer[]);

describe('images as values', () => {
  it('derives images without touching the one they come from', async () => {
    const empty = emptyImage({ architecture: 'arm64', variant: 'v8' });
    const layer = await layerFromFiles([{ path: '/a', content: 'a' }]);
    const image = withConfig(appendLayer(empty, layer), {
      config: { Cmd: ['a'] },
      author: 'me',
      history: { created_by: 'CMD a' },
    });
    expect(empty.config).toEqual({
      architecture: 'arm64',
      variant: 'v8',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [] },
    });
    expect(image.config).toMatchObject({ author: 'me', config: { Cmd: ['a'] }, rootfs: { diff_ids: [layer.diffId] } });
    expect(image.config.history).toEqual([{}, { created_by: 'CMD a', empty_layer: true }]);
    const annotated = annotate(image, { a: 'b' });
    expect([imageId(annotated) === imageId(image), manifestDigest(annotated) === manifestDigest(image)]).toEqual([
      true,
      false,
    ]);
    expect(withConfig(image, { config: { Cmd: undefined } }).config.config).toEqual({});
    expect(digestOf(image.configBytes)).toBe(image.manifest.config.digest);
  });

  it('makes the same layer of the same files, in any order', async () => {
    const files = [
      { path: 'b/c', content: 'x' },
      { path: 'a', content: 'y', mode: 0o755 },
      { path: 'l', linkTarget: 'a' },
      { path: 'd' },
    ];
    const [one, two] = [await layerFromFiles(files), await layerFromFiles([...files].reverse())];
    expect(one.descriptor).toEqual(two.descriptor);
    expect(one.diffId).toBe('sha256:33ff47392d6e28492d062ddc422a3beb9a7f6c8cf0736c5217897087f099b188');
    expect(digestOf(await collect(one.open()))).toBe(one.descriptor.digest);
    await expect(layerFromFiles([{ path: '../x', content: '' }])).rejects.toMatchObject({ code: 'LAYER_UNSAFE' });
  });

  it('makes a layer of a directory, and the archive of an image, without root', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tsc-image-'));
    try {
      mkdirSync(join(dir, 'sub'));
      writeFileSync(join(dir, 'sub', 'file'), 'x');
      symlinkSync('sub/file', join(dir, 'link'));
      const options = { targetPath: 'app', uid: 0, gid: 0, mtime: new Date(0) };
      const layer = await layerFromDirectory(dir, options);
      const image = appendLayer(emptyImage(), layer);
      const archive = await collect(archiveImages([{ image, names: ['app'] }]));
      expect(archive.equals(await collect(archiveImages([{ image, names: ['app:latest'] }])))).toBe(true);
      writeFileSync(join(dir, 'sub', 'file'), 'changed');
      await expect(collect(archiveImages([{ image, names: [] }]))).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('writes the permissions, owners and times that one wants', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tsc-image-'));
    try {
      writeFileSync(join(dir, 'run'), 'x', { mode: 0o600 });
      const layer = await layerFromDirectory(dir, {
        mode: ({ type }) => (type === 'directory' ? 0o750 : 0o4755),
        ...{ uid: 1, gid: 2, mtime: new Date(1000) },
      });
      const files = await layerFromFiles([
        { path: '', mode: 0o750, uid: 1, gid: 2, mtime: new Date(1000) },
        { path: 'run', content: 'x', mode: 0o4755, uid: 1, gid: 2, mtime: new Date(1000) },
      ]);
      expect(layer.diffId).toBe(files.diffId);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('keeps members of a config that it does not know, and gives OCI manifests OCI layers', async () => {
    const layer = await layerFromFiles([{ path: 'a', content: 'a' }], { compression: 'gzip' });
    const descriptor = { ...layer.descriptor, mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' };
    const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [layer.diffId] } };
    const bytes = Buffer.from(
      JSON.stringify({ ...config, docker_version: '1', config: { ArgsEscaped: true, Cmd: ['a'] } }),
    );
    const image = withConfig(composeImage(bytes, [{ ...layer, descriptor }]), { config: { Cmd: ['b'] }, author: 'me' });
    expect(JSON.parse(image.configBytes.toString())).toEqual({
      ...config,
      docker_version: '1',
      author: 'me',
      config: { ArgsEscaped: true, Cmd: ['b'] },
    });
    expect(image.manifest.layers[0]).toEqual(layer.descriptor);
  });

  it('compresses layers without changing the image id', async () => {
    const image = appendLayer(emptyImage(), await layerFromFiles([{ path: 'a', content: 'a'.repeat(1000) }]));
    for (const compression of ['gzip', 'zstd', 'none'] as const) {
      const other = await recompressImage(image, compression);
      expect(imageId(other)).toBe(imageId(image));
      const bytes = await collect((other.layers[0] as (typeof other.layers)[0]).open());
      expect(digestOf(bytes)).toBe(other.manifest.layers[0]?.digest);
    }
  });

  it('refuses documents that do not belong together', async () => {
    const image = appendLayer(emptyImage(), await layerFromFiles([{ path: 'a', content: 'a' }]));
    expect(() => readImage(image.manifestBytes, emptyImage().configBytes, image.layers)).toThrow(
      expect.objectContaining({ code: 'CONTENT_MISMATCH' }),
    );
    expect(() => readImage(image.manifestBytes, image.configBytes, [])).toThrow(
      expect.objectContaining({ code: 'IMAGE_INVALID' }),
    );
  });
});
