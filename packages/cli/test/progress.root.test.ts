import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { until } from '../../engine/test/test-engine.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import { testCli } from './cli.ts';
import type { Cli } from './cli.ts';
import { startSlowProxy } from './slow-proxy.ts';
import { Terminal } from './terminal.ts';

const LARGE = 24 * 1024 ** 2;

/** Pushes an image with a layer that gzip can't make smaller. */
async function publishLarge(cli: Cli, domain: string): Promise<void> {
  mkdirSync(cli.at('ctx'));
  writeFileSync(cli.at('ctx/large'), randomBytes(LARGE));
  writeFileSync(cli.at('ctx/Dockerfile'), 'FROM busybox\nCOPY large /large\n');
  const name = `${domain}/large:1`;
  const built = await cli.run(['build', '-q', '-t', name, cli.at('ctx')]);
  if (built.code !== 0) throw new Error(built.stderr);
  await cli.ok('push', '-q', name);
  await cli.ok('rmi', name);
}

describeRoot('a pull on a terminal', () => {
  it('has a bar for each layer, drawn over in place at any width, and is interrupted by Ctrl-C', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    await using proxy = await startSlowProxy(registry.url, 1024 ** 2);
    await publishLarge(cli, registry.domain);
    using terminal = new Terminal(cli, { columns: 100, rows: 20 });
    terminal.keys(`${cli.shellWords} pull ${proxy.domain}/large:1; echo "code"$?`, 'Enter');
    await terminal.shows('1: Pulling from large');
    await terminal.shows(/^[0-9a-f]{12}: Downloading \[=+> +\] +[\d.]+MB\/25\.\dMB$/m);
    terminal.resize(60, 20);
    await terminal.shows(/^[0-9a-f]{12}: Downloading \[=*> {4,16}\] +[\d.]+MB\/25\.\dMB$/m);
    terminal.resize(45, 20);
    await terminal.shows(/^[0-9a-f]{12}: Downloading +[\d.]+MB\/25\.\dMB$/m);
    terminal.resize(100, 20);
    await terminal.shows(/^[0-9a-f]{12}: Downloading \[=+> +\] +[\d.]+MB\/25\.\dMB$/m);
    expect(terminal.screen.match(/Downloading/g)?.length).toBe(1);
    await until('a third of it', () => /Downloading \[[^\]]+\] +(?:[89]|1\d)[.\d]*MB/.test(terminal.screen), 30_000);
    terminal.keys('C-c');
    await terminal.shows('code130');
    expect(terminal.screen).toContain('interrupted');
    const interrupted = proxy.takeSentBytes();
    terminal.keys('stty -a | grep -o "[-]*icanon"', 'Enter');
    await terminal.shows(/^icanon$/m);
    expect(await cli.ok('images', '-q', `${proxy.domain}/large`)).toBe('');

    proxy.bytesPerSecond = undefined;
    terminal.keys('clear', 'Enter');
    terminal.keys(`${cli.shellWords} pull ${proxy.domain}/large:1; echo "code"$?`, 'Enter');
    await terminal.shows('code0');
    const screen = terminal.screen.split('\n');
    expect(screen.filter((line) => /^[0-9a-f]{12}: (Pull complete|Already exists)$/.test(line))).toHaveLength(2);
    expect(screen.filter((line) => line.startsWith('Status: Downloaded newer image'))).toHaveLength(1);
    // What was there is not fetched again, but for what was on the wire at that moment.
    expect(proxy.takeSentBytes()).toBeLessThan(LARGE - interrupted / 2);
    await cli.ok('rmi', `${proxy.domain}/large:1`);
  });

  it('goes before a container that is run, and leaves its output alone', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    await publishLarge(cli, registry.domain);
    using terminal = new Terminal(cli, { columns: 100, rows: 20 });
    const run = `${cli.shellWords} run --rm --network none ${registry.domain}/large:1 echo out`;
    terminal.keys(`${run} > ${cli.at('output')}; cat ${cli.at('output')}; echo "code"$?`, 'Enter');
    await terminal.shows('code0');
    expect(terminal.screen).toMatch(/^Unable to find image '.*\/large:1' locally$/m);
    expect(terminal.screen).toMatch(/^[0-9a-f]{12}: Pull complete$/m);
    expect(terminal.screen).toMatch(/^out\ncode0$/m);
    await cli.ok('rmi', `${registry.domain}/large:1`);
  });

  it('is given up by a signal, before there is a container', async () => {
    await using cli = await testCli();
    await using registry = await startDockerRegistry();
    await using proxy = await startSlowProxy(registry.url, 1024 ** 2);
    await publishLarge(cli, registry.domain);
    const child = cli.start(['run', '--rm', '--network', 'none', `${proxy.domain}/large:1`, 'true']);
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the first bytes', () => proxy.takeSentBytes() > 0);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(143);
    expect(said).toMatch(/^Unable to find image [^]*: (Pulling fs layer|Already exists)\n$/);
    expect(await cli.ok('ps', '-aq')).toBe('');
    expect(await cli.ok('images', '-q', `${proxy.domain}/large`)).toBe('');
  });
});
