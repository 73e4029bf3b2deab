import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  artifactImage,
  composeArtifact,
  composeIndex,
  blobFromBytes,
  imageArtifact,
  imageId,
  manifestDigest,
  openImageLayout,
  openRegistryClient,
  parseIndex,
  parseReference,
  pushArtifact,
  digestHex,
  withConfig,
} from '../src/index.ts';
import { startDockerRegistry, type DockerRegistry } from './docker-registry.ts';
import { finish, openOurs, ourImage } from './interop-ours.ts';
import {
  dockerSeen,
  openPodman,
  runContained,
  seenAtRegistry,
  skopeo,
  skopeoCopy,
  startDocker,
} from './interop-peers.ts';
import { scratch, type Scratch } from './scratch.ts';

const digestAt = (place: string): string =>
  (JSON.parse(skopeo('inspect', '--tls-verify=false', place)) as { readonly Digest: string }).Digest;
const rawAt = (place: string): Buffer => Buffer.from(skopeo('inspect', '--raw', '--tls-verify=false', place));

describeRoot('images between programs through layouts', () => {
  let tmp: Scratch;
  beforeAll(() => {
    tmp = scratch();
  });
  afterAll(() => {
    tmp[Symbol.dispose]();
  });

  it('are written by us for skopeo, umoci and podman', async () => {
    const image = await ourImage();
    const layout = await openImageLayout(tmp.at('ours'), { create: true });
    await layout.write('app', image);
    const place = `oci:${tmp.at('ours')}:app`;
    expect(digestAt(place)).toBe(manifestDigest(image));

    runContained('umoci', 'unpack', '--image', `${tmp.at('ours')}:app`, tmp.at('bundle'));
    const rootfs = tmp.at('bundle/rootfs');
    expect(readFileSync(`${rootfs}/again`, 'utf8')).toBe('ours');
    expect(existsSync(`${rootfs}/etc/gone`)).toBe(false);
    expect(statSync(`${rootfs}/etc/tool`)).toMatchObject({ mode: 0o104755, uid: 7 });

    const podman = openPodman(tmp.at('podman'), { workingDir: tmp.dir });
    // podman makes a name of the path, in which it wants no capitals.
    const id = podman.run('pull', '-q', 'oci:ours:app');
    expect(dockerSeen(podman.run('image', 'inspect', id))).toMatchObject({
      id: imageId(image),
      diffIds: image.config.rootfs.diff_ids,
    });
  });

  it('are changed by umoci and skopeo, and read by us', async () => {
    const image = await ourImage('changed');
    const layout = await openImageLayout(tmp.at('changed'), { create: true });
    await layout.write('app', image);
    mkdirSync(tmp.at('more'));
    runContained('umoci', 'insert', '--image', `${tmp.at('changed')}:app`, '--tag', 'more', tmp.at('more'), '/more');
    const more = await layout.image('more');
    expect(more.config.rootfs.diff_ids.slice(0, 2)).toEqual(image.config.rootfs.diff_ids);
    expect(manifestDigest(more)).toBe(digestAt(`oci:${tmp.at('changed')}:more`));

    skopeoCopy(`oci:${tmp.at('changed')}:more`, `oci:${tmp.at('skopeo')}:copy`);
    const copy = await (await openImageLayout(tmp.at('skopeo'))).image('copy');
    expect(copy.manifestBytes).toEqual(more.manifestBytes);
    await layout.write('copy', copy);
    await layout.remove('more');
    expect(digestAt(`oci:${tmp.at('changed')}:copy`)).toBe(manifestDigest(more));
    expect((await layout.entries()).map(({ name }) => name).sort()).toEqual(['app', 'copy']);
  });
});

describeRoot('indexes and artifacts between programs', () => {
  const stack = new AsyncDisposableStack();
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = stack.use(await startDockerRegistry());
  });
  afterAll(() => stack.disposeAsync());

  it('give each program the image for its machine', async () => {
    using tmp = scratch();
    const [amd64, arm64] = [
      await ourImage('amd64'),
      withConfig(await ourImage('arm64'), { architecture: 'arm64', variant: 'v8' }),
    ];
    const index = composeIndex([amd64, arm64]);
    const [first, second] = [`${registry.domain}/multi/a:1`, `${registry.domain}/multi/b:1`];
    await using client = openRegistryClient();
    await finish(pushArtifact(client, first, index));
    expect(rawAt(`docker://${first}`).toString()).toBe(index.bytes.toString());

    await finish(pushArtifact(client, second, await client.repository(first).artifact('1')));
    expect(rawAt(`docker://${second}`)).toEqual(rawAt(`docker://${first}`));
    const mine = process.arch === 'arm64' ? arm64 : amd64;
    const seen = { id: imageId(mine), diffIds: mine.config.rootfs.diff_ids };
    {
      await using docker = await startDocker(tmp.at('docker'));
      expect(await docker.pull(second)).toMatchObject(seen);
    }
    expect(await openPodman(tmp.at('podman')).pull(second)).toMatchObject(seen);
    expect(await (await openOurs(tmp.at('ours'))).pull(second)).toMatchObject(seen);

    skopeoCopy('--all', `docker://${second}`, `oci:${tmp.at('layout')}:multi`);
    const layout = await openImageLayout(tmp.at('layout'));
    const artifact = await layout.artifact('multi');
    expect(artifact.bytes).toEqual(index.bytes);
    const other = await artifactImage(artifact, { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } });
    expect(imageId(other)).toBe(imageId(arm64));
    await layout.write('ours', artifact);
    skopeoCopy('--all', `oci:${tmp.at('layout')}:ours`, `docker://${registry.domain}/multi/c:1`);
    const back = await client.repository(`${registry.domain}/multi/c`).artifact('1');
    expect([back.descriptor.digest, back.manifests.length]).toEqual([index.descriptor.digest, 2]);
  });

  it('are listed as referrers of their subject where a registry has only tags', async () => {
    const [first, second] = [`${registry.domain}/signed/a:1`, `${registry.domain}/signed/b:1`];
    await using client = openRegistryClient();
    const image = await ourImage('signed');
    const { descriptor } = imageArtifact(image);
    const sbom = composeArtifact({
      artifactType: 'application/spdx+json',
      blobs: [blobFromBytes(Buffer.from('{"spdxVersion":"SPDX-2.3"}'), 'application/spdx+json')],
      subject: descriptor,
    });
    const push = async (name: string): Promise<void> => {
      await finish(pushArtifact(client, name, image));
      await finish(pushArtifact(client, `${name.replace(/:1$/, '')}@${sbom.descriptor.digest}`, sbom));
    };
    await push(first);
    const repository = client.repository(parseReference(first));
    const referrers = await repository.referrers(descriptor.digest, { artifactType: 'application/spdx+json' });
    expect(referrers.manifests.map(({ digest }) => digest)).toEqual([sbom.descriptor.digest]);

    const tag = `sha256-${digestHex(descriptor.digest)}`;
    const listed = parseIndex(rawAt(`docker://${registry.domain}/signed/a:${tag}`));
    expect(listed.manifests).toMatchObject([{ digest: sbom.descriptor.digest, artifactType: 'application/spdx+json' }]);
    const raw = rawAt(`docker://${registry.domain}/signed/a@${sbom.descriptor.digest}`);
    expect(raw.toString()).toBe(sbom.bytes.toString());

    // A copy of both, from what the first registry has.
    const source = client.repository(first);
    await finish(pushArtifact(client, second, await source.artifact('1')));
    const [found] = referrers.manifests;
    const copied = await source.artifact(found?.digest ?? '');
    await finish(pushArtifact(client, `${registry.domain}/signed/b@${copied.descriptor.digest}`, copied));
    expect(rawAt(`docker://${registry.domain}/signed/b:${tag}`).toString()).toContain(sbom.descriptor.digest);
    expect((await seenAtRegistry(second)).manifestDigest).toBe(manifestDigest(image));
  });
});
