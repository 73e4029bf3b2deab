import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { expect, it } from '@jest/globals';
import { appendLayer, archiveImages, digestOf, emptyImage, hostPlatform, layerFromFiles } from '@tsc/image';
import type { Index } from '@tsc/image';

import { describeRoot, testDir } from '../../../test/root.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import { ended, program, testCli } from './cli.ts';
import type { Ended } from './cli.ts';

/** Somebody without any right on this machine. */
const NOBODY = 65534;

interface Place extends AsyncDisposable {
  at(name: string): string;
  /** Runs a command as nobody. */
  run(...words: readonly string[]): Promise<Ended>;
  /** One that has to end well. */
  ok(...words: readonly string[]): Promise<string>;
  /** Puts an image into a registry, as skopeo does it. */
  put(name: string, architecture: string, format?: 'oci' | 'v2s2'): Promise<void>;
}

function place(): Place {
  const dir = mkdtempSync(join(testDir, 'x-'));
  for (const name of [dir, join(dir, 'docker')]) {
    mkdirSync(name, { recursive: true });
    chownSync(name, NOBODY, NOBODY);
  }
  chmodSync(dir, 0o755);
  const env = { PATH: process.env['PATH'], DOCKER_CONFIG: join(dir, 'docker'), HOME: dir };
  const run: Place['run'] = (...words) => ended(spawn(program, words, { env, uid: NOBODY, gid: NOBODY, cwd: dir }));
  return {
    at: (name) => join(dir, name),
    run,
    ok: async (...words) => {
      const { code, stdout, stderr } = await run(...words);
      if (code !== 0) throw new Error(`tsc ${words.join(' ')}: ${String(code)}: ${stderr}`);
      return stdout;
    },
    put: async (name, architecture, format = 'oci') => {
      const layer = await layerFromFiles([{ path: '/machine', content: architecture }]);
      const image = appendLayer(emptyImage({ architecture }), layer, { created_by: 'COPY machine /' });
      const file = join(dir, `${architecture}.tar`);
      await pipeline(archiveImages([{ image, names: ['x:1'] }]), createWriteStream(file));
      skopeo('copy', '-q', '--format', format, '--dest-tls-verify=false', `oci-archive:${file}`, `docker://${name}`);
    },
    [Symbol.asyncDispose]: () => {
      rmSync(dir, { recursive: true });
      return Promise.resolve();
    },
  };
}

const skopeo = (...words: readonly string[]): string => execFileSync('skopeo', words, { encoding: 'utf8' });
const rawIndex = (name: string): string => skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`);
const index = (name: string): Index => JSON.parse(rawIndex(name)) as Index;
/** All of an image with all its members can be fetched, and every digest is right. */
const fetchWhole = (name: string, to: string): void => {
  skopeo('copy', '-q', '--all', '--src-tls-verify=false', `docker://${name}`, `dir:${to}`);
};

describeRoot('buildx imagetools', () => {
  it('makes an index of images, without root', async () => {
    await using registry = await startDockerRegistry();
    await using here = place();
    const app = `${registry.domain}/team/app`;
    await here.put(`${app}:amd`, 'amd64');
    await here.put(`${registry.domain}/other:arm`, 'arm64');
    await here.ok('buildx', 'imagetools', 'create', '-t', `${app}:1`, `${app}:amd`, `${registry.domain}/other:arm`);
    const made = index(`${app}:1`);
    expect(made.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    expect(made.manifests.map(({ platform }) => platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ]);
    fetchWhole(`${app}:1`, here.at('whole'));

    const shown = await here.ok('buildx', 'imagetools', 'inspect', `${app}:1`);
    expect(shown).toContain(`Name:      ${app}:1\nMediaType: ${made.mediaType ?? ''}\nDigest:    sha256:`);
    expect(shown).toContain(`  Name:      ${app}:1@${made.manifests[1]?.digest ?? ''}\n`);
    expect(shown).toContain('  Platform:  linux/arm64\n');
    expect(await here.ok('buildx', 'imagetools', 'inspect', '--raw', `${app}:1`)).toBe(rawIndex(`${app}:1`));
    const render = (template: string): Promise<string> =>
      here.ok('buildx', 'imagetools', 'inspect', '--format', template, `${app}:1`);
    expect(await render('{{.Manifest.Digest}}')).toBe(digestOf(rawIndex(`${app}:1`)));
    expect(await render('{{(index .Image "linux/arm64").Architecture}}')).toBe('arm64');
    expect(JSON.parse(await render('{{json .Manifest.Manifests}}'))).toEqual(made.manifests);
  });

  it('copies to another registry, and every digest survives', async () => {
    await using from = await startDockerRegistry();
    await using to = await startDockerRegistry();
    await using here = place();
    await here.put(`${from.domain}/app:amd`, 'amd64', 'v2s2');
    await here.put(`${from.domain}/app:arm`, 'arm64', 'v2s2');
    await here.ok(
      'buildx',
      'imagetools',
      'create',
      '-t',
      `${from.domain}/app:1`,
      `${from.domain}/app:amd`,
      `${from.domain}/app:arm`,
    );
    expect(index(`${from.domain}/app:1`).mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json');
    const copied = await here.run(
      'buildx',
      'imagetools',
      'create',
      '-t',
      `${to.domain}/a/b:1`,
      '-t',
      `${to.domain}/a/b:2`,
      `${from.domain}/app:1`,
    );
    expect([copied.code, copied.stdout]).toEqual([0, '']);
    expect(copied.stderr).toContain(`copying from ${from.domain}/app:1 to ${to.domain}/a/b:1\n`);
    for (const tag of ['1', '2']) expect(rawIndex(`${to.domain}/a/b:${tag}`)).toBe(rawIndex(`${from.domain}/app:1`));
    fetchWhole(`${to.domain}/a/b:2`, here.at('whole'));
  });

  it('appends, annotates and shows what it would push', async () => {
    await using registry = await startDockerRegistry();
    await using here = place();
    const app = `${registry.domain}/app`;
    await here.put(`${app}:amd`, 'amd64');
    await here.put(`${app}:arm`, 'arm64');
    const create = (...words: readonly string[]): Promise<string> =>
      here.ok('buildx', 'imagetools', 'create', ...words);
    await create('-t', `${app}:1`, `${app}:amd`);
    const arm = digestOf(rawIndex(`${app}:arm`));
    const line = { digest: arm, platform: { architecture: 'arm', os: 'linux', variant: 'v7' } };
    writeFileSync(here.at('line.json'), `${JSON.stringify(line)}\n`);
    const words = ['-t', `${app}:1`, '--append', '-f', here.at('line.json'), '--annotation', 'index:stage=beta'];
    const dry = JSON.parse(await create('--dry-run', ...words)) as Index;
    expect(index(`${app}:1`).manifests).toHaveLength(1);
    await create(...words, '--progress', 'quiet');
    expect(index(`${app}:1`)).toEqual(dry);
    expect(dry.annotations).toEqual({ stage: 'beta' });
    expect(dry.manifests[1]).toMatchObject(line);
    await create('-t', `${app}:plain`, '--prefer-index=false', arm);
    expect(rawIndex(`${app}:plain`)).toBe(rawIndex(`${app}:arm`));
  });

  it('says what it can not do', async () => {
    await using registry = await startDockerRegistry();
    await using here = place();
    const refuse = async (...words: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await here.run('buildx', 'imagetools', ...words);
      expect([code === 0, stdout]).toEqual([false, '']);
      return stderr;
    };
    const app = `${registry.domain}/app`;
    expect(await refuse('create')).toBe('tsc: no sources specified\n');
    expect(await refuse('create', app)).toBe("tsc: can't push with no tags specified, please set --tag or --dry-run\n");
    expect(await refuse('create', '-t', `${app}:1`, 'App')).toContain(
      'valid sources are digests, references and descriptors',
    );
    expect(await refuse('create', '-t', `${app}:1`, `${app}:none`)).toContain(app);
    expect(await refuse('create', '-t', `${app}:1`, '--annotation', 'a=b', app)).toContain('annotating a manifest');
    expect(await refuse('inspect', `${app}:none`)).toMatch(/^tsc: .*none.*\n$/);
    expect(await refuse('inspect', '--raw', '--format', 'x', app)).toContain('cannot be used together');
  });
});

describeRoot('manifest', () => {
  it('makes, annotates, shows and pushes a list, as Docker does', async () => {
    await using registry = await startDockerRegistry();
    await using here = place();
    const app = `${registry.domain}/team/app`;
    await here.put(`${app}:amd`, 'amd64', 'v2s2');
    await here.put(`${registry.domain}/other:arm`, 'arm', 'v2s2');
    const list = `${app}:1`;
    const words = [list, `${app}:amd`, `${registry.domain}/other:arm`];
    expect(await here.ok('manifest', 'create', ...words)).toBe(`Created manifest list ${list}\n`);
    const again = await here.run('manifest', 'create', ...words);
    expect([again.code, again.stderr]).toEqual([
      1,
      'tsc: refusing to amend an existing manifest list with no --amend flag\n',
    ]);
    const variant = ['--variant', 'v7', '--os-features', 'a,b'];
    await here.ok('manifest', 'annotate', ...variant, list, `${registry.domain}/other:arm`);
    expect(await here.ok('manifest', 'create', '--amend', ...words)).toContain('Created');
    const local = await here.ok('manifest', 'inspect', list);
    const { manifests } = JSON.parse(local) as Index;
    expect(manifests.map(({ platform }) => platform)).toEqual([
      { architecture: 'arm', os: 'linux', variant: 'v7', 'os.features': ['a', 'b'] },
      { architecture: 'amd64', os: 'linux' },
    ]);
    // Docker's own client reads what was kept.
    const docker = execFileSync('docker', ['manifest', 'inspect', list], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], DOCKER_CONFIG: here.at('docker') },
    });
    expect(JSON.parse(docker)).toEqual(JSON.parse(local));

    const pushed = await here.ok('manifest', 'push', '--purge', list);
    const [moved, digest] = pushed.trim().split('\n');
    expect(moved).toBe(`Pushed ref ${app}@${manifests[0]?.digest ?? ''} with digest: ${manifests[0]?.digest ?? ''}`);
    expect(digest).toBe(digestOf(rawIndex(list)));
    expect(index(list)).toEqual(JSON.parse(local));
    fetchWhole(list, here.at('whole'));
    expect(existsSync(here.at('docker/manifests'))).toBe(true);
    expect((await here.run('manifest', 'push', list)).stderr).toBe(`tsc: no such manifest: ${list}\n`);

    // What isn't kept here is asked for.
    expect(JSON.parse(await here.ok('manifest', 'inspect', list))).toEqual(JSON.parse(local));
    expect(JSON.parse(await here.ok('manifest', 'inspect', `${app}:amd`))).toMatchObject({
      schemaVersion: 2,
      layers: [{}],
    });
    const verbose = JSON.parse(await here.ok('manifest', 'inspect', '-v', list)) as object[];
    expect(verbose).toMatchObject([
      {
        Ref: `${list}@${manifests[0]?.digest ?? ''}`,
        Descriptor: { platform: { variant: 'v7' } },
        SchemaV2Manifest: {},
      },
      { Ref: `${list}@${manifests[1]?.digest ?? ''}` },
    ]);
  });

  it('says what it can not do', async () => {
    await using registry = await startDockerRegistry();
    await using here = place();
    const app = `${registry.domain}/app`;
    await here.put(`${app}:amd`, 'amd64');
    await here.ok('buildx', 'imagetools', 'create', '-t', `${app}:index`, `${app}:amd`);
    const refuse = async (...words: readonly string[]): Promise<string> => {
      const { code, stderr } = await here.run('manifest', ...words);
      expect(code).toBe(1);
      return stderr;
    };
    expect(await refuse('create', `${app}:1`, `${app}:index`)).toBe(`tsc: ${app}:index is a manifest list\n`);
    await here.ok('manifest', 'create', `${app}:1`, `${app}:amd`);
    expect(await refuse('annotate', '--arch', 'z80', `${app}:1`, `${app}:amd`)).toBe(
      'tsc: manifest entry for image has unsupported os/arch combination: linux/z80\n',
    );
    expect(await refuse('annotate', `${app}:1`, `${app}:arm`)).toBe(
      `tsc: manifest for image ${app}:arm does not exist in ${app}:1\n`,
    );
    expect(await refuse('rm', `${app}:2`, `${app}:1`)).toBe(`tsc: no such manifest: ${app}:2\n`);
    expect(await refuse('push', `${app}:1`)).toBe(`tsc: no such manifest: ${app}:1\n`);
  });
});

describeRoot('a pulled image', () => {
  it('is known by its digest, too', async () => {
    await using registry = await startDockerRegistry();
    await using here = place();
    await using cli = await testCli();
    const [app, machine] = [`${registry.domain}/team/app`, hostPlatform().architecture];
    await here.put(`${app}:1`, machine);
    const digest = digestOf(rawIndex(`${app}:1`));
    await cli.ok('pull', '-q', `${app}:1`);
    const row = async (...words: readonly string[]): Promise<string> =>
      await cli.ok('images', '--format', '{{.Repository}} {{.Tag}} {{.Digest}}', ...words);
    expect(await row(app)).toBe(`${app} 1 ${digest}\n`);
    expect(await cli.ok('image', 'inspect', '-f', '{{json .RepoDigests}}', `${app}:1`)).toBe(`["${app}@${digest}"]\n`);
    await cli.ok('tag', `${app}:1`, 'mine');
    const removed = (await cli.ok('rmi', `${app}:1`)).split('\n');
    expect(removed).toEqual(expect.arrayContaining([`Untagged: ${app}:1`]));
    expect(await cli.ok('history', '--format', '{{.CreatedBy}}', 'mine')).toBe('COPY machine /\n');
    expect(await cli.ok('rmi', 'mine')).toMatch(/^Untagged: mine:latest\n(Untagged: .*\n)*Deleted: sha256:/);
    await cli.ok('pull', '-q', `${app}@${digest}`);
    expect(await row('--digests', '-f', 'dangling=true')).toBe(`${app} <none> ${digest}\n`);
    expect(await cli.ok('images', '-f', 'dangling=false', '--format', '{{.Repository}}:{{.Tag}}', app)).toBe(
      `${app}:<none>\n`,
    );
  });
});
