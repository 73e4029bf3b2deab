import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname } from 'node:path';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot, testMarker } from '../../../test/root.ts';
import type { ContainerSpec, Engine, PortSpec } from '../src/index.ts';
import { kernelName } from '../src/layout.ts';
import { rules, sh, testEngine, until, warmUp } from './test-engine.ts';

const server = (word: string, ports: readonly PortSpec[] = []): ContainerSpec => ({
  image: 'busybox',
  name: word,
  command: ['sh', '-c', `echo ${word} > /tmp/index.html; exec httpd -f -p 80 -h /tmp`],
  ports,
});
const tcp = (hostPort?: number, hostAddress?: string): PortSpec => ({
  protocol: 'tcp',
  containerPort: 80,
  hostPort,
  hostAddress,
});

const addressOf = (engine: Engine, name: string): string => engine.container(name).inspect().NetworkSettings.IPAddress;
const page = async (address: string, port: number): Promise<string> =>
  (await fetch(`http://${address}:${String(port)}/`)).text();
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

/** An address of this host that is not the loopback's, nor the container bridge's. */
const outerAddress = (): string | undefined =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !/^(?:lo|tsc)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family }) => family === 'IPv4')?.address;

const ECHO =
  'const it = require("dgram").createSocket("udp4").bind(53).on("message", (text, from) => it.send(text, from.port, from.address))';
const FETCH = `
  const request = require('http').get(process.argv[1], { timeout: 1000, agent: false }, (it) => it.pipe(process.stdout));
  request.on('timeout', () => request.destroy()).on('error', () => process.stdout.write('closed'));
`;

/** A namespace behind a wire of its own that plays another machine: 198.51.100.2, and 198.51.100.1 is this host. */
function lanHost(): Disposable & { page(url: string): string } {
  const name = `${testMarker}lan`;
  ip('netns', 'add', name);
  ip('link', 'add', `${testMarker}h`, 'type', 'veth', 'peer', 'name', 'lan0', 'netns', name);
  ip('addr', 'add', '198.51.100.1/24', 'dev', `${testMarker}h`);
  ip('link', 'set', `${testMarker}h`, 'up');
  ip('-n', name, 'addr', 'add', '198.51.100.2/24', 'dev', 'lan0');
  ip('-n', name, 'link', 'set', 'lan0', 'up');
  ip('-n', name, 'route', 'add', 'default', 'via', '198.51.100.1');
  return {
    page: (url) =>
      execFileSync('ip', ['netns', 'exec', name, process.execPath, '-e', FETCH, url], { encoding: 'utf8' }),
    [Symbol.dispose]: () => {
      ip('link', 'delete', `${testMarker}h`);
      ip('netns', 'delete', name);
    },
  };
}

describeRoot('the network of a container', () => {
  beforeAll(warmUp);

  it('has an address of the bridge’s, the bridge as its way out, and its neighbours', async () => {
    await using t = await testEngine();
    await t.engine.run(server('one'));
    const address = addressOf(t.engine, 'one');
    await until('the server', () => page(address, 80).then(Boolean, () => false));
    expect(await page(address, 80)).toBe('one\n');
    const gateway = address.replace(/\.\d+$/, '.1');
    const script = `ip route; ip -4 -o addr show eth0; ping -c1 -W2 ${gateway} >/dev/null && echo way; wget -qO- http://${address}/; cat /proc/net/if_inet6 | grep -c eth0`;
    const { stdout } = await sh(t.engine, script, { network: 'bridge' });
    expect(stdout).toContain(`default via ${gateway} dev eth0`);
    expect(stdout).toMatch(/eth0 +inet 172\.\d+\.0\.\d+\/16/);
    expect(stdout).toMatch(/way\none\n0\n$/);
    expect(t.engine.container('one').inspect().NetworkSettings).toMatchObject({ Gateway: gateway, IPPrefixLen: 16 });
  });

  it('is none, or the host’s, where that was asked for', async () => {
    await using t = await testEngine();
    expect((await sh(t.engine, 'ls /sys/class/net; ping -c1 -W1 127.0.0.1 >/dev/null && echo up')).stdout).toMatch(
      /^lo\nup\n$/,
    );
    const own = readFileSync('/proc/net/dev', 'utf8').split('\n').length;
    const host = await sh(t.engine, 'wc -l < /proc/net/dev; hostname', { network: 'host' });
    expect(host.stdout.split('\n')[0]?.trim()).toBe(String(own - 1));
    expect(existsSync(`/sys/class/net/${kernelName(t.layout)}0`)).toBe(false);
  });

  it('publishes ports on the addresses asked for, and frees them at the end', async () => {
    await using t = await testEngine();
    const spec = server('web', [tcp(18_280, '127.0.0.1'), tcp(18_281), tcp()]);
    const { container } = await t.engine.run(spec);
    await until('the server', () => page('127.0.0.1', 18_280).then(Boolean, () => false));
    expect(await page('127.0.0.1', 18_280)).toBe('web\n');
    expect(await page('127.0.0.1', 18_281)).toBe('web\n');
    const chosen = Number(container.inspect().NetworkSettings.Ports['80/tcp']?.[2]?.HostPort);
    expect(chosen).toBeGreaterThanOrEqual(32_768);
    expect(await page('127.0.0.1', chosen)).toBe('web\n');
    const outer = outerAddress();
    if (outer !== undefined) {
      expect(await page(outer, 18_281)).toBe('web\n');
      await expect(page(outer, 18_280)).rejects.toThrow('fetch failed');
    }
    await container.restart({ timeoutMs: 0 });
    await until('the server', () => page('127.0.0.1', 18_281).then(Boolean, () => false));
    await container.stop({ timeoutMs: 0 });
    await expect(page('127.0.0.1', 18_281)).rejects.toThrow('fetch failed');
    expect(rules().filter((line) => line.includes('18281'))).toEqual([]);
  });

  it('lets another machine in by published ports only', async () => {
    await using t = await testEngine();
    using lan = lanHost();
    await t.engine.run(server('web', [tcp(18_282), tcp(18_283, '127.0.0.1')]));
    const address = addressOf(t.engine, 'web');
    await until('the server', () => page('127.0.0.1', 18_282).then(Boolean, () => false));
    expect(lan.page('http://198.51.100.1:18282/')).toBe('web\n');
    expect(lan.page('http://198.51.100.1:18283/')).toBe('closed');
    expect(lan.page(`http://${address}/`)).toBe('closed'); // the host forwards, but not what nobody published
    ip('-n', `${testMarker}lan`, 'route', 'add', 'table', '100', '127.0.0.0/8', 'via', '198.51.100.1');
    ip('-n', `${testMarker}lan`, 'rule', 'add', 'pref', '0', 'to', '127.0.0.0/8', 'lookup', '100');
    expect(lan.page('http://127.0.0.1:18283/')).toBe('closed');
  });

  it('publishes UDP, too', async () => {
    await using t = await testEngine();
    const libraries = ['/lib', '/lib64'].filter((path) => existsSync(path));
    const bind = (source: string, target = source) => ({ type: 'bind', source, target, readOnly: true }) as const;
    await t.engine.run({
      image: 'busybox',
      command: ['/node/node', '-e', ECHO],
      mounts: [bind(dirname(realpathSync(process.execPath)), '/node'), ...libraries.map((path) => bind(path))],
      ports: [{ protocol: 'udp', containerPort: 53, hostPort: 18_284 }],
    });
    const socket = createSocket('udp4');
    try {
      const answer = once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
      const timer = setInterval(() => socket.send('question', 18_284, '127.0.0.1'), 50);
      const [message] = (await answer.finally(() => {
        clearInterval(timer);
      })) as [Buffer];
      expect(message.toString()).toBe('question');
    } finally {
      socket.close();
    }
  });

  it('is there as long as a container or an engine needs it', async () => {
    await using t = await testEngine();
    const bridge = `/sys/class/net/${kernelName(t.layout)}0`;
    expect(existsSync(bridge)).toBe(false);
    const other = await t.another();
    await other.run(server('last'));
    expect(existsSync(bridge)).toBe(true);
    await other.close();
    expect(existsSync(bridge)).toBe(true);
    await t.engine.container('last').remove({ force: true });
    await t.engine.close();
    expect(existsSync(bridge)).toBe(false);
    expect(rules().filter((line) => line.includes(kernelName(t.layout)))).toEqual([]);
  });

  it('survives that somebody flushes all rules', async () => {
    await using t = await testEngine();
    await t.engine.run(server('before', [tcp(18_285)]));
    execFileSync('nft', ['delete', 'table', 'ip', tableName()]);
    await t.engine.container('before').remove({ force: true });
    await t.engine.run(server('after', [tcp(18_285)]));
    await until('the server', () => page('127.0.0.1', 18_285).then(Boolean, () => false));
  });
});

const tableName = (): string => {
  const line = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })
    .split('\n')
    .find((entry) => / tsc/.test(entry));
  return line?.split(' ')[2] ?? '';
};
