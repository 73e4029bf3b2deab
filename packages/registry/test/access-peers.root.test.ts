import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hashSync } from 'bcryptjs';

import { describeRoot } from '../../../test/root.ts';
import { serveRegistry } from '../src/index.ts';
import type { AccessOptions, RegistryServer } from '../src/index.ts';
import { makeAuthority, makeCertificate } from './access-certificates.ts';

const run = promisify(execFile);

/** An OCI layout with an image that has no layers. */
async function writeLayout(layout: string): Promise<void> {
  await mkdir(join(layout, 'blobs', 'sha256'), { recursive: true });
  const put = async (value: object, mediaType: string): Promise<object> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(layout, 'blobs', 'sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.byteLength };
  };
  const config = { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [] } };
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const described = await put(config, 'application/vnd.oci.image.config.v1+json');
  const descriptor = await put({ schemaVersion: 2, mediaType, config: described, layers: [] }, mediaType);
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { 'org.opencontainers.image.ref.name': 'one' };
  await writeFile(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, annotations }] }),
  );
}

const everything: AccessOptions['rules'] = [
  { repositories: ['**'], accounts: ['alice'], actions: ['pull', 'push', 'delete'] },
  { repositories: ['team/**'], accounts: ['bob'], actions: ['pull'] },
];
const ways: readonly (readonly [string, Omit<AccessOptions, 'accounts'>])[] = [
  ['passwords', { rules: everything }],
  [
    'tokens',
    { tokens: {}, rules: [...everything, { repositories: ['public/**'], anonymous: true, actions: ['pull'] }] },
  ],
];

describeRoot('skopeo, with TLS', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tsc-registry-peers-'));
    await writeLayout(join(dir, 'layout'));
    await writeFile(join(dir, 'accounts'), `alice:${hashSync('wonderland', 5)}\nbob:${hashSync('builder', 5)}\n`);
    const authority = makeAuthority(dir, 'authority');
    makeCertificate(dir, 'server', { authority, subject: '/CN=server', names: 'DNS:localhost,IP:127.0.0.1' });
    await mkdir(join(dir, 'certs'));
    await copyFile(authority.certFile, join(dir, 'certs', 'ca.crt'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  const serve = (access: AccessOptions): Promise<RegistryServer> =>
    serveRegistry({
      listen: '127.0.0.1:0',
      rootDir: join(dir, 'root'),
      access,
      tls: { certFile: join(dir, 'server.crt'), keyFile: join(dir, 'server.key') },
    });

  test.each(ways)('pushes, pulls, lists and deletes with %s, and no more than it may', async (_way, access) => {
    await using server = await serve({ accounts: { htpasswdFile: join(dir, 'accounts') }, ...access });
    const skopeo = async (command: string, ...args: readonly string[]): Promise<string> => {
      const auth = ['--authfile', join(dir, 'auth.json')];
      return (await run('skopeo', [command, ...auth, ...args])).stdout;
    };
    const certs = ['--cert-dir', join(dir, 'certs')];
    const from = ['--src-cert-dir', join(dir, 'certs')];
    const to = ['--dest-cert-dir', join(dir, 'certs')];
    const layout = `oci:${join(dir, 'layout')}:one`;
    const image = `docker://${server.domain}/team/app:v1`;
    const open = `docker://${server.domain}/public/app:v1`;
    const login = (user: string, password: string): Promise<string> =>
      skopeo('login', ...certs, '-u', user, '-p', password, server.domain);

    await expect(skopeo('copy', ...to, layout, image)).rejects.toThrow(/unauthorized|authentication required/);
    await expect(login('alice', 'wrong')).rejects.toThrow('invalid username/password');
    await login('alice', 'wonderland');
    for (const name of [image, open]) await skopeo('copy', ...to, layout, name);
    expect(await skopeo('list-tags', ...certs, `docker://${server.domain}/team/app`)).toContain('"v1"');

    await login('bob', 'builder');
    await skopeo('copy', ...from, image, `oci:${join(dir, 'pulled')}:one`);
    await expect(skopeo('copy', ...to, layout, image)).rejects.toThrow(/denied|may not do that/);
    await expect(skopeo('delete', ...certs, image)).rejects.toThrow();
    await skopeo('logout', server.domain);

    const anonymous = skopeo('inspect', ...certs, open);
    if (access.tokens === undefined) await expect(anonymous).rejects.toThrow();
    else expect(await anonymous).toContain('"Architecture": "amd64"');
    await expect(skopeo('inspect', ...certs, image)).rejects.toThrow();

    await login('alice', 'wonderland');
    await skopeo('delete', ...certs, image);
    await expect(skopeo('inspect', ...certs, image)).rejects.toThrow();
    await skopeo('logout', server.domain);
  });
});
