import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { makeAuthority, makeCertificate } from '../../image/test/certificates.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import { testCli } from './cli.ts';
import type { Cli } from './cli.ts';

const quietRun = ['run', '--rm', '--network', 'none'];
const digestLine = /^Digest: (sha256:[0-9a-f]{64})$/m;

/** Pushes busybox under a name and forgets that name here. */
async function publish(cli: Cli, name: string): Promise<void> {
  await cli.ok('tag', 'busybox', name);
  await cli.ok('push', '-q', name);
  await cli.ok('rmi', name);
}

describeRoot('a registry', () => {
  it('is pushed to and pulled from, with the words that Docker has', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    const name = `${registry.domain}/team/app`;
    const id = (await cli.ok('inspect', '-f', '{{.Id}}', 'busybox')).trim();
    await cli.ok('tag', 'busybox', name);
    const pushed = (await cli.ok('push', name)).split('\n');
    expect(pushed[0]).toBe('Using default tag: latest');
    expect(pushed[1]).toBe(`The push refers to repository [${name}]`);
    expect(pushed.filter((line) => /^[0-9a-f]{12}: Pushed$/.test(line))).toHaveLength(1);
    const [, digest, size] = /^latest: digest: (sha256:[0-9a-f]{64}) size: (\d+)$/.exec(pushed.at(-2) ?? '') ?? [];
    const served = await fetch(`${registry.url}/v2/team/app/manifests/latest`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    expect([served.headers.get('docker-content-digest'), served.headers.get('content-length')]).toEqual([digest, size]);
    expect(await cli.ok('push', name)).toMatch(/^[0-9a-f]{12}: Layer already exists$/m);
    expect(await cli.ok('push', '-q', name)).toBe(`${name}:latest\n`);

    await cli.ok('rmi', name, 'busybox');
    const pulled = await cli.ok('pull', name);
    const layer = /^([0-9a-f]{12}): Pulling fs layer$/m.exec(pulled)?.[1] ?? '';
    const said = pulled.split('\n').filter((line) => !line.endsWith('Verifying Checksum'));
    expect(said).toEqual([
      'Using default tag: latest',
      'latest: Pulling from team/app',
      `${layer}: Pulling fs layer`,
      `${layer}: Download complete`,
      `${layer}: Pull complete`,
      `Digest: ${digest ?? ''}`,
      `Status: Downloaded newer image for ${name}:latest`,
      `${name}:latest`,
      '',
    ]);
    expect((await cli.ok('inspect', '-f', '{{.Id}}', name)).trim()).toBe(id);
    expect(await cli.ok('pull', `${name}:latest`)).toContain(`Status: Image is up to date for ${name}:latest\n`);
    expect(await cli.ok('pull', '-q', name)).toBe(`${name}:latest\n`);
    expect(await cli.ok(...quietRun, name, 'echo', 'hi')).toBe('hi\n');

    const pinned = `${name}@${digest ?? ''}`;
    expect(await cli.ok('pull', pinned)).toContain(`${pinned}: Pulling from team/app\n`);
    expect(await cli.ok(...quietRun, pinned, 'echo', 'pinned')).toBe('pinned\n');
    await cli.ok('rmi', name);
  });

  it('gives and takes all tags', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    const name = `${registry.domain}/app`;
    for (const tag of ['1', '2']) await cli.ok('tag', 'busybox', `${name}:${tag}`);
    const pushed = await cli.ok('push', '-a', name);
    expect(pushed).toMatch(/^1: digest: /m);
    expect(pushed).toMatch(/^2: digest: /m);
    await cli.ok('rmi', `${name}:1`, `${name}:2`);
    const pulled = await cli.ok('pull', '-a', name);
    expect(pulled).toMatch(/^1: Pulling from app$/m);
    expect(pulled).toMatch(/^2: Pulling from app$/m);
    expect(pulled.endsWith(`Status: Downloaded newer image for ${name}\n${name}\n`)).toBe(true);
    expect(await cli.ok('images', '--format', '{{.Tag}}', name)).toBe('1\n2\n');
    for (const verb of ['pull', 'push']) {
      expect(await cli.run([verb, '-a', `${name}:1`])).toMatchObject({
        code: 1,
        stderr: "tsc: tag can't be used with --all-tags/-a\n",
      });
    }
    await cli.ok('rmi', `${name}:1`, `${name}:2`);
  });

  it('has the image of a container that is run, when it is missing or always', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    const name = `${registry.domain}/app:1`;
    await publish(cli, name);

    const never = await cli.run([...quietRun, '--pull', 'never', name, 'true']);
    expect(never).toEqual({ code: 125, stdout: '', stderr: `tsc: no such image: ${name}\n` });
    const ran = await cli.run([...quietRun, name, 'echo', 'hi']);
    expect([ran.code, ran.stdout]).toEqual([0, 'hi\n']);
    expect(ran.stderr).toMatch(
      new RegExp(`^Unable to find image '${name}' locally\n1: Pulling from app\n(.*\n)*Status: [^\n]* for ${name}\n$`),
    );
    expect(await cli.run([...quietRun, name, 'echo', 'hi'])).toEqual({ code: 0, stdout: 'hi\n', stderr: '' });

    const always = await cli.run([...quietRun, '--pull=always', name, 'true']);
    expect([always.code, always.stderr]).toEqual([0, expect.stringMatching(digestLine)]);
    expect(always.stderr).not.toContain('Unable to find');
    await cli.ok('rmi', name);
    expect(await cli.run([...quietRun, '-q', name, 'echo', 'hi'])).toEqual({ code: 0, stdout: 'hi\n', stderr: '' });
    await cli.ok('rmi', name);
    const created = await cli.run(['create', name]);
    expect([created.code, created.stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]{64}\n$/)]);
    await cli.ok('rm', created.stdout.trim());
    await cli.ok('rmi', name);
  });

  it('is not there, or has no such image: one line, soon, and the exit code of the command', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    const began = performance.now();
    const failures: readonly (readonly [words: readonly string[], code: number, line: RegExp])[] = [
      [['pull', `${registry.domain}/none`], 1, /^tsc: .*none.*\n$/],
      [['pull', 'registry.invalid/app:1'], 1, /^tsc: .*registry\.invalid.*\n$/],
      [['pull', '127.0.0.1:1/app:1'], 1, /^tsc: .*127\.0\.0\.1:1.*\n$/],
      [['push', 'busybox:none'], 1, /^tsc: no such image: busybox:none\n$/],
      [['push', `busybox@sha256:${'0'.repeat(64)}`], 1, /^tsc: cannot push a digest reference\n$/],
      [['pull', 'UPPER'], 1, /^tsc: invalid reference .*lowercase\n$/],
      [['pull', '--platform', 'a/b/c/d', 'x'], 1, /^tsc: invalid platform .*\nSee 'tsc pull --help'\.\n$/],
      [['pull', '--disable-content-trust=false', 'x'], 1, /^tsc: content trust .* is not supported yet\./],
      [[...quietRun, 'a'.repeat(64)], 125, /^tsc: .*image.*\n$/],
    ];
    for (const [words, code, line] of failures) {
      const ended = await cli.run(words);
      expect([words, ended.code, ended.stdout.replace(/^Using default.*\n/, '')]).toEqual([words, code, '']);
      expect(ended.stderr).toMatch(line);
    }
    const missing = await cli.run([...quietRun, 'registry.invalid/app:1']);
    expect(missing.code).toBe(125);
    expect(missing.stderr.split('\n')).toEqual([
      "Unable to find image 'registry.invalid/app:1' locally",
      expect.stringMatching(/^tsc: .*registry\.invalid/),
      '',
    ]);
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(await cli.ok('ps', '-aq')).toBe('');
  });

  it('has what a build begins with and copies from', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    const [base, other] = [`${registry.domain}/base:1`, `${registry.domain}/other:1`];
    await publish(cli, base);
    await publish(cli, other);
    mkdirSync(cli.at('ctx'));
    writeFileSync(
      cli.at('ctx/Dockerfile'),
      `FROM ${base}\nRUN echo built\nCOPY --from=${other} /data/from-image /copied\nCMD ["cat", "/copied"]\n`,
    );
    const build = ['build', '--network', 'none', '-t', 'made'];
    const built = await cli.run([...build, cli.at('ctx')]);
    expect([built.code, built.stdout]).toEqual([0, '']);
    expect(built.stderr).toMatch(new RegExp(`^#0 pull ${base} for linux/\\w+\n#0 resolve ${base}\n#0 `));
    expect(built.stderr).toMatch(/^#0 [0-9a-f]{12}: (Pull complete|Already exists)$/m);
    expect(built.stderr).toMatch(/^#1 built$/m);
    expect(await cli.ok(...quietRun, 'made')).toBe('from the image\n');
    const again = await cli.run([...build, cli.at('ctx')]);
    expect([again.code, again.stderr.includes('#0')]).toEqual([0, false]);
    const pulled = await cli.run([...build, '--pull', cli.at('ctx')]);
    expect([pulled.code, pulled.stderr.match(/^#0 pull /gm)?.length]).toEqual([0, 2]);
    const missing = await cli.run(['build', '-'], { input: `FROM scratch\nCOPY --from=${registry.domain}/none / /\n` });
    expect([missing.code, missing.stderr]).toEqual([
      1,
      expect.stringMatching(/\ntsc: Dockerfile:2: cannot pull .*\/none: .*\n$/),
    ]);
    await cli.ok('rmi', base, other, 'made');
  });

  it('is spoken with as the settings say, and a mistake in them is one line', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    await publish(cli, `${registry.domain}/app:1`);
    const settings = cli.at('registries.yaml');
    const env = { TSC_REGISTRIES: settings };
    writeFileSync(settings, `hosts:\n  mirrored.invalid:\n    mirrors:\n      - url: ${registry.url}\n`);
    const mirrored = await cli.run(['pull', '-q', 'mirrored.invalid/app:1'], { env });
    expect(mirrored).toEqual({ code: 0, stdout: 'mirrored.invalid/app:1\n', stderr: '' });
    writeFileSync(settings, 'hosts:\n  mirrored.invalid:\n    mirror: x\n');
    const wrong = await cli.run(['pull', 'mirrored.invalid/app:1'], { env });
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/^tsc: .*registries\.yaml.*mirror.*\n$/)]);
    const none = await cli.run(['pull', 'x'], { env: { TSC_REGISTRIES: cli.at('none.yaml') } });
    expect([none.code, none.stderr]).toEqual([
      1,
      `tsc: TSC_REGISTRIES names a file that isn't there: ${cli.at('none.yaml')}\n`,
    ]);
    await cli.ok('rmi', 'mirrored.invalid/app:1');
  });

  it('is trusted by the certificates, and reached by the proxy, that the environment names', async () => {
    await using cli = await testCli();
    const authority = makeAuthority(cli.dir);
    const { certFile, keyFile } = makeCertificate(cli.dir, authority);
    await using registry = await startDockerRegistry({ tls: { certFile, keyFile } });
    const name = `${registry.domain}/app:1`;
    await cli.ok('tag', 'busybox', name);
    const untrusted = await cli.run(['push', '-q', name]);
    expect([untrusted.code, untrusted.stderr]).toEqual([1, expect.stringMatching(/^tsc: [^\n]*certificate[^\n]*\n$/i)]);
    const env = { SSL_CERT_FILE: authority.certFile };
    expect(await cli.run(['push', '-q', name], { env })).toEqual({ code: 0, stdout: `${name}\n`, stderr: '' });
    await cli.ok('rmi', name);

    const asked: string[] = [];
    const proxy = createServer().on('connect', ({ url }, socket) => {
      asked.push(url ?? '');
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = proxy.address() as AddressInfo;
      const proxied = await cli.run(['pull', '-q', 'registry.invalid/app'], {
        env: { https_proxy: `http://127.0.0.1:${port}` },
      });
      expect([proxied.code, proxied.stderr]).toEqual([1, expect.stringMatching(/^tsc: [^\n]+\n$/)]);
      expect(new Set(asked)).toEqual(new Set(['registry.invalid:443']));
    } finally {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    }
  });
});
