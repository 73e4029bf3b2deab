import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { openEngine } from '@tsc/engine';
import {
  appendLayer,
  artifactIndex,
  artifactImage,
  emptyImage,
  layerFromFiles,
  openRegistryClient,
  pullImage,
  pushArtifact,
  type Artifact,
  type Image,
  type RegistryClient,
} from '@tsc/image';

import { imageOfThisNode } from '../examples/hello/base-image.ts';
import { warmUp } from '../packages/engine/test/test-engine.ts';
import { startDockerRegistry, type DockerRegistry } from '../packages/image/test/docker-registry.ts';
import { runContained, skopeoCopy } from '../packages/image/test/interop-peers.ts';
import { describeRoot } from './root.ts';

const NOBODY = 65_534;
const root = join(import.meta.dirname, '..');
const SERVER = `
  const server = require('node:http').createServer((_request, response) => response.end('pushed by uid ' + process.env.PUSHED_BY));
  server.listen(8080);
  process.once('SIGTERM', () => server.close(() => process.exit()));
`;
/** The same server, on a port that is free, and its own first visitor. */
const FETCH_OWN_PAGE = `
  const { Server } = require('node:http');
  const { listen } = Server.prototype;
  Server.prototype.listen = function () {
    return listen.call(this, 0, '127.0.0.1', async () => {
      console.log(await (await fetch('http://127.0.0.1:' + this.address().port)).text());
      process.exit();
    });
  };
  require('/app');
`;

/** Runs an example on the built packages, as an ordinary user. */
function run(program: string, ...args: readonly string[]): string {
  const result = spawnSync(process.execPath, [join(root, 'examples', program), ...args], {
    encoding: 'utf8',
    uid: NOBODY,
    gid: NOBODY,
    timeout: 60_000,
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', PUSHED_BY: String(NOBODY) },
  });
  if (result.status !== 0) throw new Error(`${program} ended with ${String(result.status)}:\n${result.stderr}`);
  return result.stdout;
}

async function push(client: RegistryClient, name: string, value: Artifact | Image): Promise<void> {
  for await (const event of pushArtifact(client, name, value)) {
    if (event.type === 'pushed') return;
  }
}

const small = async (path: string, architecture = 'amd64'): Promise<Image> =>
  appendLayer(emptyImage({ architecture }), await layerFromFiles([{ path, content: path }], { compression: 'gzip' }));

/** A page as a browser would get it, once the server is there to give it. */
async function fetchPage(url: string): Promise<string> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      const [response] = (await once(request(url, { agent: false }).end(), 'response')) as [IncomingMessage];
      return Buffer.concat((await response.toArray()) as Buffer[]).toString();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

describeRoot('examples/ that speak with a registry, run by an ordinary user', () => {
  const stack = new AsyncDisposableStack();
  let dir: string;
  let registry: DockerRegistry;

  beforeAll(async () => {
    await warmUp();
    dir = stack.adopt(mkdtempSync(join(tmpdir(), 'examples-')), (path) => {
      rmSync(path, { recursive: true, force: true });
    });
    chmodSync(dir, 0o755);
    registry = stack.use(await startDockerRegistry());
  });
  afterAll(() => stack.disposeAsync());

  test('registry-in-a-server.ts takes a push, says so, and shows it', async () => {
    const place = join(dir, 'served');
    mkdirSync(place);
    chownSync(place, NOBODY, NOBODY);
    const program = join(root, 'examples/registry-in-a-server.ts');
    const child = spawn(process.execPath, [program, place, '0'], {
      ...{ uid: NOBODY, gid: NOBODY, stdio: ['ignore', 'pipe', 'inherit'] },
      env: { PATH: process.env['PATH'] },
    });
    const exited = once(child, 'exit');
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const [, domain = ''] = /^docker push (\S+)\/app$/.exec(String((await lines.next()).value)) ?? [];
    {
      await using client = openRegistryClient();
      await push(client, `${domain}/team/app:1`, await small('hello'));
    }
    expect(String((await lines.next()).value)).toMatch(/^team\/app sha256:[0-9a-f]{64}$/);
    expect(await fetchPage(`http://${domain}/ui/repositories/team/app`)).toContain('team/app:1');
    child.kill();
    expect(await exited).toEqual([0, null]);
  });

  test('push-node-app.ts makes an image of a Node app, which answers where it is pulled', async () => {
    mkdirSync(join(dir, 'app'), { recursive: true });
    writeFileSync(join(dir, 'app/index.js'), SERVER);
    const [base, target] = [`${registry.domain}/node:24`, `${registry.domain}/app:1`];
    await using client = openRegistryClient();
    await push(client, base, await imageOfThisNode());
    expect(run('push-node-app.ts', join(dir, 'app'), base, target)).toMatch(/\/app:1 sha256:[0-9a-f]{64}\n$/);

    await using engine = await openEngine({ rootDir: join(dir, 'root'), runDir: join(dir, 'run') });
    for await (const event of pullImage(engine.images, client, target))
      expect(event.type).toMatch(/resolved|layer|pulled/);
    const { container } = await engine.run({
      image: target,
      env: ['PUSHED_BY=nobody'],
      ports: [{ protocol: 'tcp', containerPort: 8080 }],
    });
    const port = container.inspect().NetworkSettings.Ports['8080/tcp']?.[0]?.HostPort ?? '';
    expect(await fetchPage(`http://127.0.0.1:${port}/`)).toBe('pushed by uid nobody');
    await container.stop();
    await container.remove();

    // And without any engine, from what skopeo fetches and umoci unpacks.
    skopeoCopy(`docker://${target}`, `oci:${join(dir, 'layout')}:app`);
    runContained('umoci', 'unpack', '--image', `${join(dir, 'layout')}:app`, join(dir, 'bundle'));
    const alone = ['env', 'PUSHED_BY=umoci', 'chroot', join(dir, 'bundle/rootfs'), '/usr/local/bin/node'];
    expect(runContained(...alone, '-e', FETCH_OWN_PAGE)).toBe('pushed by uid umoci');
  }, 120_000);

  test('rebase.ts puts the layers of an image on another base', async () => {
    await using client = openRegistryClient();
    const [old, repaired, layer] = [
      await small('old'),
      await small('repaired'),
      await layerFromFiles([{ path: 'app' }]),
    ];
    const names = ['image', 'old', 'new', 'rebased'].map((name) => `${registry.domain}/rebase/${name}:1`);
    const [image = '', oldBase = '', newBase = '', target = ''] = names;
    await push(client, image, appendLayer(old, layer));
    await push(client, oldBase, old);
    await push(client, newBase, repaired);
    run('rebase.ts', image, oldBase, newBase, target);
    const rebased = await artifactImage(await client.repository(target).artifact('1'));
    expect(rebased.config.rootfs.diff_ids).toEqual([...repaired.config.rootfs.diff_ids, layer.diffId]);
  });

  test('multi-platform.ts makes an index, and copy-image.ts copies it byte for byte', async () => {
    await using client = openRegistryClient();
    await using other = await startDockerRegistry();
    const names = ['amd64', 'arm64'].map((name) => `${registry.domain}/multi:${name}`);
    for (const [n, name] of names.entries()) await push(client, name, await small('app', n === 0 ? 'amd64' : 'arm64'));
    const [target, copy] = [`${registry.domain}/multi:1`, `${other.domain}/copy:1`];
    expect(run('multi-platform.ts', target, ...names)).toMatch(/multi:1 sha256:.*\nlinux\/amd64 .*\nlinux\/arm64/);
    const index = await client.repository(target).artifact('1');
    expect(artifactIndex(index).manifests.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64']);

    expect(run('copy-image.ts', target, copy)).toContain(`/copy:1 ${index.descriptor.digest}`);
    expect((await client.repository(copy).artifact('1')).bytes).toEqual(index.bytes);
  });
});
