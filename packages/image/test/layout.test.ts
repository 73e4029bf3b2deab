import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import {
  appendLayer,
  artifactDocuments,
  blobFromBytes,
  composeArtifact,
  composeIndex,
  digestHex,
  digestOf,
  emptyImage,
  imageId,
  layerFromFiles,
  manifestDigest,
  openImageLayout,
  withConfig,
  type Descriptor,
  type Image,
} from '../src/index.ts';
import { scratch } from './scratch.ts';

const made = async (architecture = 'amd64'): Promise<Image> =>
  withConfig(appendLayer(emptyImage({ architecture }), await layerFromFiles([{ path: 'a', content: architecture }])), {
    config: { Cmd: ['x'] },
  });

const blobs = (dir: string): readonly string[] => readdirSync(join(dir, 'blobs/sha256'));
const lines = (dir: string): (Descriptor & Record<string, unknown>)[] =>
  (JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: (Descriptor & Record<string, unknown>)[] })
    .manifests;

describe('an image layout', () => {
  it('keeps images under names, as tags or references', async () => {
    using tmp = scratch();
    const layout = await openImageLayout(tmp.at('l'), { create: true });
    expect(await layout.entries()).toEqual([]);
    const image = await made();
    await layout.write('v1', image);
    const { descriptor } = await layout.write('app:1', image);
    expect(descriptor.annotations).toEqual({
      'org.opencontainers.image.ref.name': 'app:1',
      'io.containerd.image.name': 'docker.io/library/app:1',
    });
    expect((await layout.entries()).map(({ name }) => name)).toEqual(['v1', 'docker.io/library/app:1']);
    for (const name of ['v1', 'app:1', 'docker.io/library/app:1', manifestDigest(image)])
      expect(manifestDigest(await layout.image(name, { platform: { os: 'linux', architecture: 'amd64' } }))).toBe(
        manifestDigest(image),
      );
    const other = withConfig(image, { author: 'other' });
    await layout.write('docker.io/library/app:1', other);
    expect(imageId(await layout.image('app:1', { platform: other.config }))).toBe(imageId(other));
    await layout.write(undefined, other);
    expect(await layout.entries()).toHaveLength(2);
    await layout.remove('app:1');
    await expect(layout.image('app:1')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    await expect(layout.remove('app:1')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    await layout.write(undefined, other);
    expect(await layout.artifact(manifestDigest(other))).toMatchObject({ bytes: other.manifestBytes });
    expect(readdirSync(tmp.at('l')).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    await expect(layout.write('a b', image)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
    await expect(layout.write(digestOf('x'), image)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });

  it('keeps indexes and artifacts whole, and finds the image of a platform', async () => {
    using tmp = scratch();
    const layout = await openImageLayout(tmp.dir, { create: true });
    const [amd64, arm64] = [await made('amd64'), await made('arm64')];
    const index = composeIndex([amd64, arm64], { annotations: { a: 'b' } });
    const sbom = composeArtifact({
      artifactType: 'application/spdx+json',
      blobs: [blobFromBytes(Buffer.from('sbom'), 'application/spdx+json')],
      subject: index.descriptor,
    });
    await layout.write('multi', index);
    await layout.write(undefined, sbom);
    const read = await layout.artifact('multi');
    expect(artifactDocuments(read).map(({ bytes }) => bytes.toString())).toEqual(
      artifactDocuments(index).map(({ bytes }) => bytes.toString()),
    );
    expect(manifestDigest(await layout.image('multi', { platform: { os: 'linux', architecture: 'aarch64' } }))).toBe(
      manifestDigest(arm64),
    );
    expect((await layout.artifact('multi', { platform: { os: 'linux', architecture: 'amd64' } })).bytes).toEqual(
      amd64.manifestBytes,
    );
    expect((await layout.artifact(manifestDigest(arm64))).bytes).toEqual(arm64.manifestBytes);
    await expect(layout.image('multi', { platform: { os: 'linux', architecture: 's390x' } })).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      message: expect.stringContaining('it has linux/amd64, linux/arm64') as unknown,
    });
    await expect(layout.image(sbom.descriptor.digest)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
    await expect(layout.artifact()).rejects.toMatchObject({ code: 'IMAGE_AMBIGUOUS' });
    await expect(layout.artifact(digestOf('absent'))).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    // A part of an index is what docker and containerd keep after a pull for one platform.
    rmSync(tmp.at(`blobs/sha256/${digestHex(manifestDigest(arm64))}`));
    expect((await layout.artifact('multi')).manifests).toHaveLength(1);
  });

  it('keeps lines of others as they are', async () => {
    using tmp = scratch();
    const layout = await openImageLayout(tmp.dir, { create: true });
    await layout.write('a', await made());
    const [line] = lines(tmp.dir);
    const odd = { ...line, 'x-odd': { deep: [1, null] }, annotations: { 'org.opencontainers.image.ref.name': 'odd' } };
    writeFileSync(tmp.at('index.json'), JSON.stringify({ schemaVersion: 2, 'x-top': 'y', manifests: [odd, line] }));
    await layout.write('b', await made('arm64'));
    await layout.remove('a');
    expect(lines(tmp.dir)).toMatchObject([odd, {}]);
    expect(readFileSync(tmp.at('index.json'), 'utf8')).toContain('"x-top":"y"');
  });

  it('is written by several at once, and taken over from a dead one', async () => {
    using tmp = scratch();
    const image = await made();
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const layout = await openImageLayout(tmp.dir, { create: true });
        await layout.write(`v${String(i)}`, image);
      }),
    );
    expect(lines(tmp.dir)).toHaveLength(8);
    writeFileSync(tmp.at('index.json.lock'), 'somebody who died');
    const controller = new AbortController();
    const layout = await openImageLayout(tmp.dir);
    const waiting = layout.write('v9', image, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    utimesSync(tmp.at('index.json.lock'), new Date(0), new Date(0));
    await layout.write('v9', image);
    expect(lines(tmp.dir)).toHaveLength(9);
    expect(readdirSync(tmp.dir).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  it('prunes what nothing leads to, but nothing new', async () => {
    using tmp = scratch();
    const layout = await openImageLayout(tmp.dir, { create: true });
    const [image, other] = [await made(), await made('arm64')];
    await layout.write('a', composeIndex([image]));
    await layout.write('b', other);
    await layout.remove('b');
    writeFileSync(tmp.at('.partial-x'), '');
    expect(await layout.prune()).toEqual([]);
    expect((await layout.prune({ graceMs: -1000 })).length).toBe(3);
    expect(blobs(tmp.dir)).toHaveLength(4);
    expect(existsSync(tmp.at('.partial-x'))).toBe(false);
    expect((await layout.image('a', { platform: image.config })).layers).toHaveLength(1);
  });

  it('refuses what lies, and keeps nothing of it', async () => {
    using tmp = scratch();
    const layout = await openImageLayout(tmp.at('l'), { create: true });
    const image = await made();
    const [layer] = image.layers as [Image['layers'][number]];
    for (const bytes of ['other bytes', 'x'.repeat(layer.descriptor.size), 'x'.repeat(layer.descriptor.size + 1)]) {
      const liar = { ...layer, open: () => blobFromBytes(Buffer.from(bytes), 'x').open() };
      await expect(layout.write('a', { ...image, layers: [liar] })).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    }
    expect([blobs(tmp.at('l')).includes(digestHex(layer.descriptor.digest)), lines(tmp.at('l'))]).toEqual([false, []]);
    await expect(layout.write('a', image, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    expect(readdirSync(tmp.at('l')).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);

    await layout.write('a', image);
    const file = (digest: string): string => tmp.at(`l/blobs/sha256/${digest.slice(7)}`);
    const platform = image.config;
    writeFileSync(file(layer.descriptor.digest), 'other');
    const read = await layout.image('a', { platform });
    await expect(
      layout.write('b', {
        ...read,
        layers: [{ ...read.layers[0], descriptor: { ...layer.descriptor } } as typeof layer],
      }),
    ).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
    writeFileSync(file(imageId(image)), 'other');
    await expect(layout.image('a', { platform })).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    rmSync(file(imageId(image)));
    await expect(layout.image('a', { platform })).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    mkdirSync(file(imageId(image)));
    await expect(layout.image('a', { platform })).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    writeFileSync(file(manifestDigest(image)), image.manifestBytes.toString().replace('{', ' '));
    await expect(layout.artifact('a')).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    rmSync(file(manifestDigest(image)));
    await expect(layout.artifact('a')).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  it('refuses what is no layout', async () => {
    using tmp = scratch();
    await expect(openImageLayout(tmp.at('missing'))).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    for (const text of ['{"imageLayoutVersion":"2.0.0"}', '{}', 'x', '[]', 'x'.repeat(5000)]) {
      writeFileSync(tmp.at('oci-layout'), text);
      await expect(openImageLayout(tmp.dir)).rejects.toMatchObject({ name: 'ImageError', code: 'LAYOUT_INVALID' });
    }
    rmSync(tmp.at('oci-layout'));
    symlinkSync('/dev/zero', tmp.at('oci-layout'));
    await expect(openImageLayout(tmp.dir)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    rmSync(tmp.at('oci-layout'));
    const layout = await openImageLayout(tmp.dir, { create: true });
    for (const text of [
      '',
      '[]',
      '{"schemaVersion":1,"manifests":[]}',
      '['.repeat(9999),
      '{"schemaVersion":2,"manifests":[{}]}',
    ]) {
      writeFileSync(tmp.at('index.json'), text);
      await expect(layout.entries()).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    }
    rmSync(tmp.at('index.json'));
    await expect(layout.write('a', await made())).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    expect(existsSync(tmp.at('index.json.lock'))).toBe(false);
  });
});
