import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from '@jest/globals';

import { scratch, type Scratch } from '../../test/scratch.ts';
import { tarOf, type Member } from '../../test/tar-of.ts';
import { digestHex, digestOf, type Digest } from '../digest.ts';
import { artifactDocuments, composeArtifact, type Artifact } from '../image/artifact.ts';
import { blobFromBytes, readBlob } from '../image/blob.ts';
import { appendLayer, emptyImage, imageId, manifestDigest, type Image } from '../image/image.ts';
import { composeIndex } from '../image/image-index.ts';
import { layerFromFiles } from '../image/layer-source.ts';
import { openImageArchive } from './open.ts';
import { archiveArtifacts, archiveImages, type NamedArtifact } from './write.ts';

const made = async (architecture: string): Promise<Image> =>
  appendLayer(emptyImage({ architecture }), await layerFromFiles([{ path: 'a', content: architecture }]));

const written = async (tmp: Scratch, items: readonly NamedArtifact[]): Promise<string> => {
  await pipeline(archiveArtifacts(items), createWriteStream(tmp.at('x.tar')));
  return tmp.at('x.tar');
};

const archive = (tmp: Scratch, members: readonly Member[]): string => {
  writeFileSync(tmp.at('x.tar'), tarOf(members));
  return tmp.at('x.tar');
};

const json = (name: string, value: unknown): Member => ({ name, content: JSON.stringify(value) });
const layout = json('oci-layout', { imageLayoutVersion: '1.0.0' });

describe('openImageArchive', () => {
  it('reads images, indexes and artifacts in place', async () => {
    using tmp = scratch();
    const [amd64, arm64] = [await made('amd64'), await made('arm64')];
    const index = composeIndex([amd64, arm64]);
    const sbom = composeArtifact({
      artifactType: 'application/spdx+json',
      blobs: [blobFromBytes(Buffer.from('sbom'), 'application/spdx+json')],
    });
    const items = [
      { artifact: index, names: ['multi:1'] },
      { artifact: amd64, names: ['app:1', 'app:2'] },
      { artifact: sbom, names: [] },
    ];
    await using opened = await openImageArchive(await written(tmp, items));
    expect(opened.entries().map(({ name }) => name)).toEqual([
      'docker.io/library/multi:1',
      'docker.io/library/app:1',
      'docker.io/library/app:2',
      undefined,
    ]);
    const read = await opened.artifact('multi:1');
    const bytes = (artifact: Artifact): string[] => artifactDocuments(artifact).map((each) => each.bytes.toString());
    expect(bytes(read)).toEqual(bytes(index));
    const image = await opened.image('multi:1', { platform: { os: 'linux', architecture: 'arm64' } });
    expect(manifestDigest(image)).toBe(manifestDigest(arm64));
    const [first] = image.layers as [Image['layers'][number]];
    expect((await readBlob(first)).length).toBe(first.descriptor.size);
    expect((await opened.artifact(sbom.descriptor.digest)).bytes).toEqual(sbom.bytes);
    await expect(opened.artifact('nope')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    await expect(opened.artifact()).rejects.toMatchObject({ code: 'IMAGE_AMBIGUOUS' });
    const reason = new Error('enough');
    await expect(opened.artifact('app:1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(readBlob(first, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('reads Docker archives, whose layers are compressed or not, under old and new names', async () => {
    using tmp = scratch();
    const plain = tarOf([{ name: 'plain', content: 'x' }]);
    const inner = tarOf([{ name: 'inner', content: 'y' }]);
    const config = JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [digestOf(plain), digestOf(inner), digestOf(plain)] },
    });
    const packed = gzipSync(inner);
    const header = tarOf([{ name: 'bbb.tar', size: packed.length }]).subarray(0, 512);
    const padded = Buffer.concat([header, packed, Buffer.alloc((512 - (packed.length % 512)) % 512)]);
    const whole = tarOf([
      { name: './aaa/layer.tar', content: plain.toString('latin1') },
      { name: 'ccc/layer.tar', type: '2', linkName: '../aaa/layer.tar' },
      { name: 'config.json', content: config },
      json('manifest.json', [
        { Config: 'config.json', RepoTags: ['app:1'], Layers: ['aaa/layer.tar', 'bbb.tar', 'ccc/layer.tar'] },
      ]),
    ]);
    writeFileSync(tmp.at('x.tar'), Buffer.concat([padded, whole]));
    await using opened = await openImageArchive(tmp.at('x.tar'));
    const image = await opened.image('app:1', { platform: { os: 'linux', architecture: 'amd64' } });
    expect(imageId(image)).toBe(digestOf(config));
    expect(image.layers.map(({ descriptor }) => descriptor)).toMatchObject([
      { digest: digestOf(plain), mediaType: 'application/vnd.oci.image.layer.v1.tar' },
      { digest: digestOf(packed), size: packed.length, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
      { digest: digestOf(plain) },
    ]);
    for (const layer of image.layers) expect((await readBlob(layer)).length).toBe(layer.descriptor.size);
  });

  it('writes equal bytes for equal images, and what it does not understand as it came', async () => {
    const image = await made('amd64');
    const bytes = async (): Promise<Buffer> =>
      Buffer.concat((await archiveImages([{ image, names: ['a'] }]).toArray()) as Buffer[]);
    expect(digestOf(await bytes())).toBe(digestOf(await bytes()));
    expect(() => archiveImages([{ image, names: ['A'] }])).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
    const reason = new Error('enough');
    expect(() => archiveImages([{ image, names: [] }], { signal: AbortSignal.abort(reason) })).toThrow(reason);
  });

  it.each<[string, string, readonly Member[]]>([
    ['ARCHIVE_INVALID', 'no image archive', [{ name: 'etc/passwd', content: 'x' }]],
    ['ARCHIVE_INVALID', 'a config that is missing', [json('manifest.json', [{ Config: 'c', Layers: [] }])]],
    [
      'ARCHIVE_INVALID',
      'links in a ring',
      [
        { name: 'a', type: '2', linkName: 'b' },
        { name: 'b', type: '2', linkName: 'a' },
        json('manifest.json', [{ Config: 'a', Layers: [] }]),
      ],
    ],
    [
      'ARCHIVE_INVALID',
      'a link out',
      [{ name: 'a', type: '2', linkName: '../../../etc/passwd' }, json('manifest.json', [{ Config: 'a', Layers: [] }])],
    ],
    ['ARCHIVE_INVALID', 'a document without end', [{ name: 'manifest.json', content: ' '.repeat(5e6) }]],
    ['DOCUMENT_INVALID', 'a list that is none', [json('manifest.json', {})]],
    ['DOCUMENT_INVALID', 'an index that is none', [layout, json('index.json', [])]],
    [
      'IMAGE_INVALID',
      'other layers than the config lists',
      [
        json('c', { architecture: 'a', os: 'b', rootfs: { type: 'layers', diff_ids: [] } }),
        { name: 'l', content: 'x' },
        json('manifest.json', [{ Config: 'c', Layers: ['l'] }]),
      ],
    ],
    [
      'COMPRESSION_UNSUPPORTED',
      'a layer in xz',
      [
        json('c', { architecture: 'a', os: 'b', rootfs: { type: 'layers', diff_ids: [digestOf('')] } }),
        { name: 'l', content: 'BZhsomething' },
        json('manifest.json', [{ Config: 'c', Layers: ['l'] }]),
      ],
    ],
    [
      'REFERENCE_INVALID',
      'a name that is none',
      [json('manifest.json', [{ Config: 'c', RepoTags: ['A B'], Layers: [] }])],
    ],
    ['LAYER_UNSAFE', 'a name with ..', [{ name: '../x', content: 'x' }]],
    ['LAYER_INVALID', 'a member that is cut', [{ name: 'a', size: 4096 }]],
    ['LAYER_INVALID', 'a size beyond the end', [{ name: 'a', size: 0o77777777777 }]],
  ])('refuses with %s %s', async (code, _, members) => {
    using tmp = scratch();
    await expect(openImageArchive(archive(tmp, members))).rejects.toMatchObject({ name: 'ImageError', code });
  });

  it('refuses what is compressed, no archive, no file, or cut anywhere', async () => {
    using tmp = scratch();
    const file = await written(tmp, [{ artifact: await made('amd64'), names: ['a'] }]);
    const bytes = readFileSync(file);
    for (const packed of [gzipSync(bytes), zstdCompressSync(bytes), Buffer.from('fd377a585a00', 'hex')]) {
      writeFileSync(file, packed);
      await expect(openImageArchive(file)).rejects.toMatchObject({ code: 'COMPRESSION_UNSUPPORTED' });
    }
    writeFileSync(file, 'x'.repeat(2000));
    await expect(openImageArchive(file)).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    writeFileSync(file, '');
    await expect(openImageArchive(file)).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    await expect(openImageArchive('/dev/null')).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    await expect(openImageArchive(tmp.at('missing'))).rejects.toMatchObject({ code: 'ENOENT' });
    for (let length = 512; length < bytes.length - 2048; length += 700) {
      writeFileSync(file, bytes.subarray(0, length));
      const refused = openImageArchive(file).then(async (opened) => {
        await using held = opened;
        return await held.image('a', { platform: { os: 'linux', architecture: 'amd64' } });
      });
      await expect(refused).rejects.toMatchObject({ name: 'ImageError' });
    }
  });

  it('says which blob is missing or another one', async () => {
    using tmp = scratch();
    const image = await made('amd64');
    const blob = (bytes: Buffer, digest = digestOf(bytes)): Member => ({
      name: `blobs/sha256/${digestHex(digest)}`,
      content: bytes.toString('latin1'),
    });
    const line = {
      mediaType: image.manifest.mediaType,
      digest: manifestDigest(image),
      size: image.manifestBytes.length,
    };
    const index = json('index.json', { schemaVersion: 2, manifests: [line] });
    const read = async (...members: Member[]): Promise<Image> => {
      await using opened = await openImageArchive(archive(tmp, [layout, index, ...members]));
      return await opened.image(undefined, { platform: { os: 'linux', architecture: 'amd64' } });
    };
    await expect(read()).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    await expect(read(blob(image.manifestBytes))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    await expect(read(blob(image.configBytes, manifestDigest(image)))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
    const config = blob(Buffer.from('{}'), imageId(image));
    await expect(read(blob(image.manifestBytes), config)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    const documents = [blob(image.manifestBytes), blob(image.configBytes)];
    await expect(read(...documents)).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    const [layer] = image.manifest.layers as unknown as readonly [{ readonly digest: Digest }];
    await expect(read(...documents, blob(Buffer.from('x'), layer.digest))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
  });
});
