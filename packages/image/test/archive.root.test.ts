import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  archiveArtifacts,
  archiveImages,
  composeArtifact,
  composeIndex,
  digestHex,
  digestOf,
  emptyImage,
  imageId,
  importImage,
  layerFromFiles,
  loadArchive,
  manifestDigest,
  openImageArchive,
  openImageStore,
  saveArchive,
  validateImage,
  withConfig,
  type Digest,
  type Image,
} from '../src/index.ts';
import { scratch } from './scratch.ts';
import { tarOf, type Member } from './tar-of.ts';
import { describeTree, makeTree, tar } from './tree.ts';

const made = async (): Promise<Image> => {
  const base = appendLayer(
    emptyImage(),
    await layerFromFiles([{ path: 'etc/base', content: 'base' }], { compression: 'gzip' }),
    { created_by: 'base' },
  );
  const top = await layerFromFiles([{ path: 'etc/top', content: 'top', mode: 0o4755, uid: 7 }]);
  return withConfig(appendLayer(base, top, { created_by: 'top' }), { config: { Cmd: ['x'], Labels: { a: 'b' } } });
};

const skopeo = (...args: string[]): string =>
  execFileSync('skopeo', ['--insecure-policy', ...args], { stdio: ['ignore', 'pipe', 'inherit'] }).toString();

const collect = async (stream: Readable): Promise<Buffer> => Buffer.concat((await stream.toArray()) as Buffer[]);

const names = (dir: string): readonly string[] =>
  ['layers', 'work', 'content/blobs/sha256'].flatMap((name) => readdirSync(join(dir, name)));

describeRoot('archives', () => {
  it('imports a root filesystem as GNU tar extracts it', async () => {
    using tmp = scratch();
    for (const name of ['tree', 'theirs']) mkdirSync(tmp.at(name));
    makeTree(tmp.at('tree'));
    tar('-C', tmp.at('tree'), '--format=pax', '--xattrs', '--xattrs-include=*', '-czf', tmp.at('rootfs.tar.gz'), '.');
    tar('-C', tmp.at('theirs'), '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', tmp.at('rootfs.tar.gz'));
    const store = await openImageStore({ rootDir: tmp.at('root') });
    const created = new Date(0);
    const image = await importImage(store, tmp.at('rootfs.tar.gz'), {
      reference: 'os',
      changes: ['CMD ["/bin/tool"]', 'ENV A=b'],
      message: 'hello',
      created,
    });
    expect(await store.resolve('os')).toEqual(image);
    expect(image).toMatchObject({
      names: ['os:latest'],
      created: created.toISOString(),
      config: { config: { Cmd: ['/bin/tool'], Env: ['A=b'] }, history: [{ comment: 'hello' }] },
    });
    expect(describeTree(image.layerDirs[0] as string)).toEqual(describeTree(tmp.at('theirs')));
    const again = await importImage(store, createReadStream(tmp.at('rootfs.tar.gz')), {
      changes: ['CMD ["/bin/tool"]', 'ENV A=b'],
      message: 'hello',
      created,
    });
    expect(again).toEqual(image);
    expect(skopeo('inspect', '--config', `oci:${tmp.at('root/content')}:docker.io/library/os:latest`)).toContain(
      '/bin/tool',
    );
  });

  it('refuses an import that fails, and leaves nothing', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.dir });
    const cut = tarOf([
      { name: 'a', content: 'x' },
      { name: 'b', size: 9999 },
    ]);
    await expect(importImage(store, Readable.from([cut]))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    await expect(importImage(store, tmp.at('missing'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(importImage(store, tmp.at('missing'), { changes: ['RUN x'] })).rejects.toMatchObject({
      code: 'CHANGE_INVALID',
    });
    expect(names(tmp.dir)).toEqual([]);
  });

  it.each(['as it is', 'gzip', 'zstd'] as const)(
    'saves what skopeo reads and what loads again: %s',
    async (compression) => {
      using tmp = scratch();
      const store = await openImageStore({ rootDir: tmp.at('a') });
      const { id, manifestDigest } = await store.write(await made(), { names: ['app:1', 'app:2', 'other:1'] });
      const options = compression === 'as it is' ? {} : { compression };
      const archive = await collect(saveArchive(store, ['app', id], options));
      expect(archive.equals(await collect(saveArchive(store, ['app', id], options)))).toBe(true);
      writeFileSync(tmp.at('saved.tar'), archive);
      tar('-C', tmp.dir, '-tf', tmp.at('saved.tar'));
      const inspected = JSON.parse(skopeo('inspect', `docker-archive:${tmp.at('saved.tar')}:app:1`)) as {
        Labels: unknown;
        Layers: unknown[];
      };
      expect(inspected).toMatchObject({ Labels: { a: 'b' } });
      skopeo('copy', '-q', `docker-archive:${tmp.at('saved.tar')}:app:2`, `dir:${tmp.at('from-docker')}`);
      expect(existsSync(tmp.at(`from-docker/${digestHex(id)}`))).toBe(true);
      skopeo('copy', '-q', `oci-archive:${tmp.at('saved.tar')}:1`, `dir:${tmp.at('from-oci')}`);
      if (compression === 'as it is')
        expect(digestOf(readFileSync(tmp.at('from-oci/manifest.json')))).toBe(manifestDigest);

      const other = await openImageStore({ rootDir: tmp.at('b') });
      expect(await loadArchive(other, Readable.from([gzipSync(archive)]))).toEqual([
        { id, names: ['docker.io/library/app:1', 'docker.io/library/app:2'] },
      ]);
      const [loaded, original] = [await other.resolve('app:2'), await store.resolve('app:2')];
      expect(loaded).toMatchObject({ id, sizeBytes: original.sizeBytes, config: original.config });
      if (compression === 'as it is') expect(loaded.manifestDigest).toBe(manifestDigest);
      expect(loaded.layerDirs.map(describeTree)).toHaveLength(2);
      expect(statSync(join(loaded.layerDirs[0] as string, 'etc/top'))).toMatchObject({ uid: 7, mode: 0o104755 });
    },
  );

  it('loads what skopeo writes, and digests survive', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.at('a') });
    const { id, manifestDigest } = await store.write(await made(), { names: ['app:1'] });
    const from = `oci:${tmp.at('a/content')}:docker.io/library/app:1`;
    skopeo('copy', '-q', from, `docker-archive:${tmp.at('docker.tar')}:app:1`);
    skopeo('copy', '-q', '--preserve-digests', from, `oci-archive:${tmp.at('oci.tar')}:example.com/app:1`);
    const b = await openImageStore({ rootDir: tmp.at('b') });
    expect(await loadArchive(b, tmp.at('docker.tar'))).toEqual([{ id, names: ['docker.io/library/app:1'] }]);
    expect(await loadArchive(b, tmp.at('oci.tar'))).toEqual([{ id, names: ['example.com/app:1'] }]);
    expect((await b.resolve('example.com/app:1')).manifestDigest).toBe(manifestDigest);
    expect((await b.resolve('app:1')).layerDirs).toHaveLength(2);
  });

  it('loads the same from a file in place, a compressed file and a stream', async () => {
    using tmp = scratch();
    const image = await made();
    const app = [{ image, names: ['app:1'] }];
    await pipeline(archiveImages(app), createWriteStream(tmp.at('app.tar')));
    writeFileSync(tmp.at('app.tar.gz'), gzipSync(readFileSync(tmp.at('app.tar'))));
    const whole = createReadStream(tmp.at('app.tar'), { highWaterMark: 777 });
    const described: unknown[] = [];
    for (const [i, source] of [tmp.at('app.tar'), tmp.at('app.tar.gz'), whole].entries()) {
      const store = await openImageStore({ rootDir: tmp.at(String(i)) });
      expect(await loadArchive(store, source)).toEqual([{ id: imageId(image), names: ['docker.io/library/app:1'] }]);
      const { layerDirs, manifestDigest: digest } = await store.resolve('app:1');
      // Directories that no archive lists have the time when they were made.
      const trees = layerDirs.flatMap(describeTree).filter((line) => !/^\S+ 40/.test(line));
      described.push([digest, trees, readdirSync(tmp.at(`${String(i)}/content/blobs/sha256`)).sort()]);
    }
    expect(described[1]).toEqual(described[0]);
    expect(described[2]).toEqual(described[0]);
  });

  it('opens in place what skopeo writes', async () => {
    using tmp = scratch();
    const image = await made();
    await pipeline(archiveImages([{ image, names: ['app:1'] }]), createWriteStream(tmp.at('x.tar')));
    skopeo('copy', '-q', `docker-archive:${tmp.at('x.tar')}:app:1`, `docker-archive:${tmp.at('docker.tar')}:app:1`);
    skopeo(
      'copy',
      '-q',
      '--preserve-digests',
      `oci-archive:${tmp.at('x.tar')}:1`,
      `oci-archive:${tmp.at('oci.tar')}:app:1`,
    );
    for (const name of ['docker.tar', 'oci.tar']) {
      await using archive = await openImageArchive(tmp.at(name));
      const read = await archive.image('app:1');
      await validateImage(read);
      expect(imageId(read)).toBe(imageId(image));
      if (name === 'oci.tar') expect(manifestDigest(read)).toBe(manifestDigest(image));
    }
  });

  it('archives an index with all its images, which skopeo copies and we load', async () => {
    using tmp = scratch();
    const image = await made();
    const other = withConfig(image, { architecture: image.config.architecture === 's390x' ? 'ppc64le' : 's390x' });
    const artifact = composeIndex([other, image], { annotations: { a: 'b' } });
    await pipeline(archiveArtifacts([{ artifact, names: ['multi:1'] }]), createWriteStream(tmp.at('x.tar')));
    skopeo('copy', '-q', '--all', '--preserve-digests', `oci-archive:${tmp.at('x.tar')}:1`, `dir:${tmp.at('dir')}`);
    expect(digestOf(readFileSync(tmp.at('dir/manifest.json')))).toBe(artifact.descriptor.digest);
    const store = await openImageStore({ rootDir: tmp.at('store') });
    const names = ['docker.io/library/multi:1'];
    expect(await loadArchive(store, tmp.at('x.tar'))).toEqual([{ id: imageId(image), names }]);
    expect(await loadArchive(store, tmp.at('x.tar'), { platform: other.config })).toEqual([
      { id: imageId(other), names },
    ]);
    await expect(
      loadArchive(store, tmp.at('x.tar'), { platform: { os: 'linux', architecture: 'mips' } }),
    ).rejects.toMatchObject({ code: 'PLATFORM_NOT_FOUND' });
    const sbom = composeArtifact({ artifactType: 'a/b', blobs: [] });
    await pipeline(archiveArtifacts([{ artifact: sbom, names: [] }]), createWriteStream(tmp.at('y.tar')));
    await expect(loadArchive(store, tmp.at('y.tar'))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it('loads the archives of old Docker versions, whose equal layers are links', async () => {
    using tmp = scratch();
    const layer = tarOf([{ name: 'file', content: 'x' }]);
    const diffId = digestOf(layer);
    const config = JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: null },
      rootfs: { type: 'layers', diff_ids: [diffId, diffId] },
    });
    const archive = tarOf([
      { name: 'aaa/', type: '5' },
      { name: 'aaa/VERSION', content: '1.0' },
      { name: 'aaa/layer.tar', content: layer.toString('latin1') },
      { name: 'bbb/layer.tar', type: '2', linkName: '../aaa/layer.tar' },
      { name: 'config.json', content: config },
      {
        name: 'manifest.json',
        content: JSON.stringify([
          { Config: 'config.json', RepoTags: null, Layers: ['aaa/layer.tar', 'bbb/layer.tar'] },
        ]),
      },
      { name: 'repositories', content: '{}' },
    ]);
    const store = await openImageStore({ rootDir: tmp.dir });
    const [loaded] = await loadArchive(store, Readable.from([archive]));
    expect(loaded).toEqual({ id: digestOf(config), names: [] });
    expect((await store.resolve(digestOf(config).slice(7, 19))).layerDirs).toHaveLength(2);
  });

  it('picks the platform of an index, and skips attestations', async () => {
    using tmp = scratch();
    const store = await openImageStore({ rootDir: tmp.at('a') });
    const { id } = await store.write(await made(), { names: ['app:1'] });
    await pipeline(saveArchive(store, ['app:1']), createWriteStream(tmp.at('x.tar')));
    mkdirSync(tmp.at('x'));
    tar('-C', tmp.at('x'), '-xf', tmp.at('x.tar'));
    const index = JSON.parse(readFileSync(tmp.at('x/index.json'), 'utf8')) as { manifests: { digest: Digest }[] };
    const [line] = index.manifests as [{ digest: Digest }];
    const other = { ...line, digest: digestOf('absent'), platform: { os: 'linux', architecture: 's390x' } };
    const attestation = { ...line, platform: { os: 'unknown', architecture: 'unknown' } };
    const nested = JSON.stringify({ schemaVersion: 2, manifests: [other, attestation, line] });
    writeFileSync(tmp.at(`x/blobs/sha256/${digestHex(digestOf(nested))}`), nested);
    const outer = {
      mediaType: 'application/vnd.oci.image.index.v1+json',
      digest: digestOf(nested),
      size: nested.length,
      annotations: { 'org.opencontainers.image.ref.name': 'multi:1' },
    };
    writeFileSync(tmp.at('x/index.json'), JSON.stringify({ schemaVersion: 2, manifests: [outer] }));
    rmSync(tmp.at('x/manifest.json'));
    tar('-C', tmp.at('x'), '-cf', tmp.at('y.tar'), '.');
    const b = await openImageStore({ rootDir: tmp.at('b') });
    expect(await loadArchive(b, tmp.at('y.tar'))).toEqual([{ id, names: ['docker.io/library/multi:1'] }]);
  });

  it('refuses archives that lie, and leaves nothing', async () => {
    using tmp = scratch();
    const source = await openImageStore({ rootDir: tmp.at('a') });
    const { config } = await source.write(await made(), { names: ['app:1'] });
    await pipeline(saveArchive(source, ['app:1']), createWriteStream(tmp.at('x.tar')));
    const blobs = (await source.image('app:1')).layers.map(({ descriptor }) => descriptor.digest);
    const variants: [string, (dir: string) => void][] = [
      [
        'CONTENT_MISMATCH',
        (dir) => {
          writeFileSync(join(dir, 'blobs/sha256', digestHex(blobs[1] as Digest)), 'other');
        },
      ],
      [
        'ARCHIVE_INVALID',
        (dir) => {
          rmSync(join(dir, 'blobs/sha256', digestHex(blobs[0] as Digest)));
        },
      ],
      [
        'DOCUMENT_INVALID',
        (dir) => {
          writeFileSync(join(dir, 'index.json'), '[]');
        },
      ],
      [
        'ARCHIVE_INVALID',
        (dir) => {
          rmSync(join(dir, 'index.json'));
          rmSync(join(dir, 'manifest.json'));
        },
      ],
      [
        'CONTENT_MISMATCH',
        (dir) => {
          // Docker's form names no digests: the config's diff ids must still hold.
          rmSync(join(dir, 'index.json'));
          writeFileSync(
            join(dir, 'blobs/sha256', digestHex(config.rootfs.diff_ids[1] as Digest)),
            tarOf([{ name: 'evil' }]),
          );
        },
      ],
      [
        'IMAGE_INVALID',
        (dir) => {
          rmSync(join(dir, 'index.json'));
          const text = readFileSync(join(dir, 'manifest.json'), 'utf8');
          const [entry] = JSON.parse(text) as [{ Layers: string[] }];
          writeFileSync(join(dir, 'manifest.json'), JSON.stringify([{ ...entry, Layers: entry.Layers.slice(1) }]));
        },
      ],
    ];
    const store = await openImageStore({ rootDir: tmp.at('b') });
    for (const [i, [code, spoil]] of variants.entries()) {
      const dir = tmp.at(String(i));
      mkdirSync(dir);
      tar('-C', dir, '-xf', tmp.at('x.tar'));
      spoil(dir);
      tar('-C', dir, '-cf', tmp.at('y.tar'), '.');
      await expect(loadArchive(store, tmp.at('y.tar'))).rejects.toMatchObject({ name: 'ImageError', code });
      expect(names(tmp.at('b'))).toEqual([]);
    }
    const hostile: Member[] = [{ name: '../evil', content: 'x' }];
    await expect(loadArchive(store, Readable.from([tarOf(hostile)]))).rejects.toMatchObject({ code: 'LAYER_UNSAFE' });
    expect(existsSync(tmp.at('b/evil'))).toBe(false);
  });
});
