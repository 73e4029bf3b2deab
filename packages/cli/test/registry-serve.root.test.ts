import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { blobFromBytes, composeArtifact, openRegistryClient, pushArtifact } from '@tsc/image';

import { describeRoot } from '../../../test/root.ts';
import { openPodman, runContained, seenInDir, startDocker } from '../../image/test/interop-peers.ts';
import type { Docker, Podman } from '../../image/test/interop-peers.ts';
import { scratch } from '../../image/test/scratch.ts';
import { testCli } from './cli.ts';
import { startServed } from './served.ts';
import type { Served } from './served.ts';

const alice = { name: 'alice', password: 'open sesame' };
const bob = { name: 'bob', password: 'builder' };
const rules = `  rules:
    - { repositories: ['**'], accounts: [alice], actions: [pull, push, delete] }
    - { repositories: ['team/**'], accounts: [bob], actions: [pull] }
`;
const START_MS = 90_000;

/** What a command that fails says. */
function complaintOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return String((error as { readonly stderr?: unknown }).stderr ?? error);
  }
  throw new Error('it did not fail');
}

describeRoot('a registry with TLS, accounts and rules, that tsc serves', () => {
  const stack = new AsyncDisposableStack();
  let dir: string;
  let served: Served;
  let docker: Docker;
  let podman: Podman;
  let name: (path: string) => string;

  beforeAll(async () => {
    ({ dir } = stack.use(scratch()));
    served = stack.use(await startServed(dir, [alice, bob], rules));
    docker = stack.use(await startDocker(join(dir, 'docker')));
    podman = openPodman(join(dir, 'podman'));
    name = (path) => `${served.domain}/${path}`;
    writeFileSync(join(dir, 'registries.yaml'), `hosts:\n  '${served.domain}':\n    ca: ${served.caFile}\n`);
  }, START_MS);
  afterAll(() => stack.disposeAsync(), START_MS);

  /** The words that podman and skopeo want about who they are, and whom they trust. */
  const auth = ({ name: account }: typeof alice): readonly string[] => ['--authfile', join(dir, `${account}.json`)];
  const skopeo = (account: typeof alice, ...words: readonly string[]): string => {
    const [command = '', ...rest] = words;
    const trust = command === 'copy' ? ['--src-cert-dir', '--dest-cert-dir'] : ['--cert-dir'];
    const trusted = trust.flatMap((word) => [word, served.caDir]);
    return runContained('skopeo', '--insecure-policy', command, ...auth(account), ...trusted, ...rest);
  };
  /** Programs that this one has waited for without looking elsewhere have left lines that are still to be read. */
  const mounts = async (to: string): Promise<number> => {
    await sleep(500);
    return served.requests.filter(
      (request) => request.route === 'mount' && request.repository === to && request.status === 201,
    ).length;
  };

  it('takes docker: login, push, pull, mount', async () => {
    expect(complaintOf(() => docker.run('login', '-u', 'alice', '-p', 'wrong', served.domain))).toMatch(/unauthorized/);
    docker.run('login', '-u', alice.name, '-p', alice.password, served.domain);
    await docker.make(name('team/docker:1'));
    const seen = await docker.pull(name('team/docker:1'));
    expect(seen.diffIds).toHaveLength(2);
    await docker.push(name('team/docker:1'), name('team/mounted:1'));
    expect(await mounts('team/mounted')).toBe(2);
    docker.run('login', '-u', bob.name, '-p', bob.password, served.domain);
    docker.run('pull', '-q', name('team/mounted:1'));
    docker.run('tag', name('team/mounted:1'), name('team/bob:1'));
    expect(complaintOf(() => docker.run('push', '-q', name('team/bob:1')))).toMatch(/denied/);
  }, 120_000);

  it('takes podman: login, pull, push', () => {
    const trust = ['--cert-dir', served.caDir];
    for (const { name: account, password } of [alice, bob]) {
      podman.run('login', ...auth({ name: account, password }), ...trust, '-u', account, '-p', password, served.domain);
    }
    podman.run('pull', '-q', ...auth(bob), ...trust, name('team/docker:1'));
    const push = (account: typeof alice, to: string): string =>
      podman.run('push', '-q', ...auth(account), ...trust, name('team/docker:1'), `docker://${name(to)}`);
    push(alice, 'team/podman:1');
    expect(complaintOf(() => push(bob, 'team/other:1'))).toMatch(/denied/);
    const listed = podman.run('search', '--list-tags', '--tls-verify=false', ...auth(bob), name('team/podman'));
    expect(listed).toContain('team/podman');
  }, 120_000);

  it('takes skopeo: copy, list, inspect, delete, every digest kept', () => {
    const from = `docker://${name('team/podman:1')}`;
    const to = `docker://${name('private/skopeo:2')}`;
    skopeo(alice, 'copy', '-q', from, to);
    expect(JSON.parse(skopeo(alice, 'list-tags', to.slice(0, -2)))).toMatchObject({ Tags: ['2'] });
    const original = skopeo(alice, 'inspect', '--raw', from);
    expect(skopeo(alice, 'inspect', '--raw', to)).toBe(original);
    skopeo(alice, 'copy', '-q', to, `dir:${join(dir, 'pulled')}`);
    expect(seenInDir(join(dir, 'pulled')).diffIds).toHaveLength(2);
    // Another one's repository: nothing of it can be read.
    expect(complaintOf(() => skopeo(bob, 'inspect', '--raw', to))).toMatch(/denied|unauthorized/);
    skopeo(alice, 'delete', to);
    expect(complaintOf(() => skopeo(alice, 'inspect', '--raw', to))).toMatch(/manifest unknown/i);
  }, 120_000);

  it('takes our own command line: login, push, pull, list, copy, remove', async () => {
    await using cli = await testCli();
    const env = { TSC_REGISTRIES: join(dir, 'registries.yaml') };
    const ok = async (...words: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await cli.run(words, { env });
      expect([words, code, stderr]).toEqual([words, 0, '']);
      return stdout;
    };
    const refused = await cli.run(['pull', name('team/docker:1')], { env });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/unauthorized|authentication/i)]);
    const login = await cli.run(['login', '-u', alice.name, '--password-stdin', served.domain], {
      env,
      input: alice.password,
    });
    expect([login.code, login.stdout]).toEqual([0, expect.stringContaining('Login Succeeded')]);
    await ok('pull', '-q', name('team/docker:1'));
    await ok('tag', name('team/docker:1'), name('ours/app:1'));
    await ok('push', '-q', name('ours/app:1'));
    expect(await ok('registry', 'ls', '-q', served.domain)).toContain('ours/app\n');
    await ok('registry', 'copy', '-q', name('ours/app:1'), name('ours/copy:2'));
    expect(await mounts('ours/copy')).toBeGreaterThan(0);
    const row = await ok('registry', 'ls', name('ours/copy'));
    expect(row).toMatch(/^TAG +DIGEST +SIZE +PLATFORMS\n2 +sha256:[0-9a-f]{12} +[\d.]+kB +\n$/);
    await ok('registry', 'rm', name('ours/copy:2'));
    expect(await ok('registry', 'ls', '-q', name('ours/copy'))).toBe('');
    expect((await cli.run(['registry', 'rm', name('ours/app')], { env })).stderr).toContain('has no tag and no digest');
  }, 120_000);

  it('finds an artifact through the referrers of its subject', async () => {
    await using client = openRegistryClient({
      credentials: { credentialFor: () => Promise.resolve({ username: alice.name, password: alice.password }) },
      registries: { hosts: { [served.domain]: { ca: served.caFile } } },
    });
    const subject = composeArtifact({
      artifactType: 'text/subject',
      blobs: [blobFromBytes(Buffer.from('x'), 'text/a')],
    });
    const sbom = composeArtifact({
      artifactType: 'text/sbom',
      blobs: [blobFromBytes(Buffer.from('list'), 'text/b')],
      subject: subject.descriptor,
    });
    for await (const _event of pushArtifact(client, name('artifacts:subject'), subject));
    for await (const _event of pushArtifact(client, name('artifacts:sbom'), sbom));
    const found = await client.repository(name('artifacts')).referrers(subject.descriptor.digest);
    expect(found.manifests.map(({ digest, artifactType }) => [digest, artifactType])).toEqual([
      [sbom.descriptor.digest, 'text/sbom'],
    ]);
  });

  it('ends with what was pushed whole, and nothing for a collection after one', async () => {
    expect(await served.stop()).toBe(0);
    await using cli = await testCli();
    const root = join(dir, 'root');
    expect(await cli.ok('registry', 'scrub', '--root', root)).toMatch(/all intact\n$/);
    await cli.ok('registry', 'gc', '--root', root, '--grace', '0');
    expect(await cli.ok('registry', 'gc', '--root', root, '--grace', '0')).toContain('Removed blobs: 0\n');
    expect(await cli.ok('registry', 'scrub', '--root', root)).toMatch(/all intact\n$/);
    const elsewhere = await cli.run(['registry', 'gc', '--root', cli.at('elsewhere')]);
    expect([elsewhere.code, elsewhere.stderr]).toEqual([1, `tsc: there is no registry in ${cli.at('elsewhere')}\n`]);
  });
});
