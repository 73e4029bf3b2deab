import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import { testCli } from './cli.ts';
import type { Cli } from './cli.ts';
import { Terminal } from './terminal.ts';

const htpasswd = { alice: 'open sesame' };
const insecure = 'WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n';

const stored = (cli: Cli): unknown => {
  try {
    return (JSON.parse(readFileSync(cli.at('docker/config.json'), 'utf8')) as { auths?: unknown }).auths;
  } catch {
    return undefined;
  }
};

const unencrypted = (cli: Cli): string =>
  `WARNING! Your credentials are stored unencrypted in '${cli.at('docker/config.json')}'.\n` +
  'Name a credential helper in it, as "credsStore", to have them kept by your keyring.\n';

describeRoot('login', () => {
  it('keeps what the registry takes, and nothing else', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry({ htpasswd });
    const { domain } = registry;
    await cli.ok('tag', 'busybox', `${domain}/app`);
    const refused = await cli.run(['push', `${domain}/app`]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^tsc: [^\n]+\n$/)]);

    const wrong = await cli.run(['login', '-u', 'alice', '-p', 'wrong', domain]);
    expect([wrong.code, wrong.stdout, stored(cli)]).toEqual([1, '', undefined]);
    expect(wrong.stderr).toMatch(/^WARNING![^\n]+\ntsc: [^\n]+\n$/);
    expect(wrong.stderr).not.toContain('sesame');

    const right = await cli.run(['login', '-u', 'alice', '--password-stdin', domain], { input: 'open sesame\n' });
    expect(right).toEqual({ code: 0, stdout: 'Login Succeeded\n', stderr: unencrypted(cli) });
    expect(statSync(cli.at('docker/config.json')).mode & 0o777).toBe(0o600);
    expect(stored(cli)).toEqual({ [domain]: { auth: Buffer.from('alice:open sesame').toString('base64') } });
    await cli.ok('push', `${domain}/app`);
    const again = await cli.run(['login', domain]);
    expect([again.code, again.stdout]).toEqual([0, 'Login Succeeded\n']);

    expect(await cli.ok('logout', domain)).toBe(`Removing login credentials for ${domain}\n`);
    expect(stored(cli) ?? {}).toEqual({});
    expect(await cli.ok('logout', domain)).toBe(`Not logged in to ${domain}\n`);
    expect((await cli.run(['pull', `${domain}/app`])).code).toBe(1);
    const flag = await cli.run(['login', '-u', 'alice', '-p', 'open sesame', `http://${domain}/v2/`]);
    expect(flag).toEqual({ code: 0, stdout: 'Login Succeeded\n', stderr: insecure + unencrypted(cli) });
    await cli.ok('rmi', `${domain}/app`);
  });

  it('reads what podman has kept', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry({ htpasswd });
    const auth = Buffer.from('alice:open sesame').toString('base64');
    writeFileSync(cli.at('auth.json'), JSON.stringify({ auths: { [registry.domain]: { auth } } }));
    await cli.ok('tag', 'busybox', `${registry.domain}/app`);
    const env = { REGISTRY_AUTH_FILE: cli.at('auth.json') };
    expect(await cli.run(['push', '-q', `${registry.domain}/app`], { env })).toMatchObject({ code: 0, stderr: '' });
    await cli.ok('rmi', `${registry.domain}/app`);
  });

  it.each([
    [['--password-stdin'], 'the --password-stdin option requires --username to be set'],
    [['-u', 'a'], 'cannot perform an interactive login from a non TTY device'],
    [['-u', 'a', '--password-stdin'], 'cannot perform an interactive login from a non TTY device'],
  ])('refuses %j without a terminal', async (words, message) => {
    await using cli = await testCli();
    expect(await cli.run(['login', ...words])).toEqual({ code: 1, stdout: '', stderr: `tsc: ${message}\n` });
  });

  it('refuses a password given twice', async () => {
    await using cli = await testCli();
    const { code, stderr } = await cli.run(['login', '-u', 'a', '-p', 'x', '--password-stdin']);
    expect([code, stderr]).toEqual([
      1,
      `${insecure}tsc: conflicting options: cannot specify both --password and --password-stdin\n`,
    ]);
  });

  it('asks on a terminal, which does not show the password', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry({ htpasswd });
    using terminal = new Terminal(cli, { columns: 200, rows: 20 });
    terminal.keys(`${cli.shellWords} login ${registry.domain}`, 'Enter');
    await terminal.shows(/Username: *$/m);
    terminal.keys('alice', 'Enter');
    await terminal.shows(/Password: *$/m);
    terminal.keys('open sesamX', 'BSpace', 'e', 'Enter');
    await terminal.shows(/Login Succeeded\nhost>\s*$/);
    expect(terminal.screen).not.toContain('sesam');
    terminal.keys('stty -a | grep -o "[-]*echo "', 'Enter');
    await terminal.shows(/^echo$/m);

    terminal.keys(`${cli.shellWords} login -u bob ${registry.domain}; echo "code"$?`, 'Enter');
    await terminal.shows(/login -u bob[^]*Password: *$/m);
    terminal.keys('C-c');
    await terminal.shows(/code130\nhost>\s*$/);
    terminal.keys('stty -a | grep -o "[-]*echo "', 'Enter');
    await terminal.shows(/code130[^]*\necho$/m);
  });
});

describeRoot('search', () => {
  it('shows what a registry finds, by stars and as a table', async () => {
    await using cli = await testCli();
    const results = [
      { name: 'app', description: 'An\napp', star_count: 7, is_official: true },
      { name: 'user/app', description: 'x'.repeat(60), star_count: 1, is_official: false },
    ];
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ num_results: 2, query: 'app', results }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const term = `127.0.0.1:${(server.address() as AddressInfo).port}/app`;
      const [head, first, second] = (await cli.ok('search', term)).split('\n');
      expect(head).toMatch(/^NAME +DESCRIPTION +STARS +OFFICIAL$/);
      expect(first).toMatch(/^\S*app +An app +7 +\[OK\]$/);
      expect(second).toMatch(/^\S*user\/app +x{44}… +1 *$/);
      expect(await cli.ok('search', '-f', 'stars=3', '--format', '{{.StarCount}}', term)).toBe('7\n');
      expect(await cli.ok('search', '--limit', '5', '--no-trunc', '--format', '{{.Description}}', term)).toBe(
        `An app\n${'x'.repeat(60)}\n`,
      );
      expect(asked.at(-1)).toMatch(/n=5\b/);
      expect(await cli.run(['search', '--limit', '0', term])).toMatchObject({ code: 1 });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
