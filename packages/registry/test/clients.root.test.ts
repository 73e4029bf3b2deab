import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { blobFromBytes, composeArtifact, openRegistryClient, pushArtifact } from '@tsc/image';

import { describeRoot } from '../../../test/root.ts';
import { serveRegistry } from '../src/index.ts';
import type { RegistryServer } from '../src/index.ts';

const run = promisify(execFile);

describeRoot('clients that are not ours, and ours', () => {
  let dir: string;
  let server: RegistryServer;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tsc-registry-clients-'));
    server = await serveRegistry({ listen: '127.0.0.1:0', rootDir: join(dir, 'root') });
    await writeLayout(join(dir, 'layout'));
  });
  afterAll(async () => {
    await server.close();
    await rm(dir, { recursive: true });
  });

  /** An OCI layout with one image, made by hand. */
  async function writeLayout(layout: string): Promise<void> {
    await run('mkdir', ['-p', join(layout, 'blobs', 'sha256')]);
    await run('mkdir', ['-p', join(dir, 'tree')]);
    await writeFile(join(dir, 'tree', 'hello'), randomBytes(100_000));
    await run('tar', ['-C', join(dir, 'tree'), '-cf', join(dir, 'layer.tar'), 'hello']);
    const put = async (bytes: Buffer, mediaType: string): Promise<object> => {
      const hex = createHash('sha256').update(bytes).digest('hex');
      await writeFile(join(layout, 'blobs', 'sha256', hex), bytes);
      return { mediaType, digest: `sha256:${hex}`, size: bytes.byteLength };
    };
    const tar = await readFile(join(dir, 'layer.tar'));
    const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
    const config = { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [diffId] } };
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: await put(Buffer.from(JSON.stringify(config)), 'application/vnd.oci.image.config.v1+json'),
      layers: [await put(tar, 'application/vnd.oci.image.layer.v1.tar')],
    };
    const descriptor = await put(Buffer.from(JSON.stringify(manifest)), manifest.mediaType);
    await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const annotations = { 'org.opencontainers.image.ref.name': 'one' };
    const index = { schemaVersion: 2, manifests: [{ ...descriptor, annotations }] };
    await writeFile(join(layout, 'index.json'), JSON.stringify(index));
  }

  const skopeo = async (...args: readonly string[]): Promise<string> => (await run('skopeo', [...args])).stdout;

  test('skopeo pushes, mounts, lists, reads, pulls and deletes', async () => {
    const image = `docker://${server.domain}/team/app`;
    await skopeo('copy', '--dest-tls-verify=false', `oci:${join(dir, 'layout')}:one`, `${image}:1`);
    await skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', `${image}:1`, `${image}-copy:2`);
    expect(JSON.parse(await skopeo('list-tags', '--tls-verify=false', image))).toMatchObject({ Tags: ['1'] });
    const original = await skopeo('inspect', '--raw', '--tls-verify=false', `${image}:1`);
    expect(await skopeo('inspect', '--raw', '--tls-verify=false', `${image}-copy:2`)).toBe(original);
    await skopeo('copy', '--src-tls-verify=false', `${image}:1`, `dir:${join(dir, 'pulled')}`);
    expect(await readFile(join(dir, 'pulled', 'manifest.json'), 'utf8')).toBe(original);
    await skopeo('delete', '--tls-verify=false', `${image}:1`);
    await expect(skopeo('inspect', '--raw', '--tls-verify=false', `${image}:1`)).rejects.toThrow(/manifest unknown/i);
    expect(await skopeo('inspect', '--raw', '--tls-verify=false', `${image}-copy:2`)).toBe(original);
  });

  test('our client pushes an artifact with a subject, finds it through referrers, and pulls and deletes it', async () => {
    await using client = openRegistryClient();
    const subject = composeArtifact({ artifactType: 'text/subject', blobs: [blobFromBytes(randomBytes(9), 'text/a')] });
    const sbom = composeArtifact({
      artifactType: 'text/sbom',
      blobs: [blobFromBytes(randomBytes(3_000_000), 'text/b')],
      subject: subject.descriptor,
    });
    for (const artifact of [sbom, subject]) {
      const name = `${server.domain}/artifacts:v-${artifact === sbom ? 'sbom' : 'subject'}`;
      for await (const _event of pushArtifact(client, name, artifact));
    }
    const repository = client.repository(`${server.domain}/artifacts`);
    const found = await repository.referrers(subject.descriptor.digest, { artifactType: 'text/sbom' });
    expect(found.manifests.map(({ digest }) => digest)).toEqual([sbom.descriptor.digest]);
    const pulled = await repository.artifact('v-sbom');
    expect(pulled.bytes).toEqual(sbom.bytes);
    const tags: string[] = [];
    for await (const tag of repository.tags()) tags.push(tag);
    expect(tags).toEqual(['v-sbom', 'v-subject']);
    await repository.deleteManifest(sbom.descriptor.digest);
    expect((await repository.referrers(subject.descriptor.digest)).manifests).toEqual([]);
  });
});
