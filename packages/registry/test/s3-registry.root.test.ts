import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { blobFromBytes, composeArtifact, openRegistryClient, pushArtifact } from '@tsc/image';

import { describeRoot } from '../../../test/root.ts';
import { openS3Storage } from '../src/s3.ts';
import type { S3StorageOptions } from '../src/s3.ts';
import { conformanceCases } from '../src/testing.ts';
import { ConformanceTarget, describe, digestOf, locationOf, MANIFEST, withQuery } from '../src/testing/case.ts';
import type { Digest } from '../src/index.ts';
import type { S3ProgramOptions } from './s3-program.ts';
import { startS3Server } from './s3-server.ts';
import type { S3Server } from './s3-server.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

interface Running extends AsyncDisposable {
  readonly url: string;
  readonly target: ConformanceTarget;
  /** What it said of failures of its own. */
  readonly failures: readonly string[];
  kill(): Promise<void>;
}

async function start(options: S3ProgramOptions): Promise<Running> {
  const program = join(import.meta.dirname, 's3-program.ts');
  const child: ChildProcess = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const failures: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => failures.push(chunk.toString()));
  const [line] = (await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')])) as [Buffer];
  if (!Buffer.isBuffer(line)) throw new Error(`the registry did not start: ${failures.join('')}`);
  child.stdout?.resume();
  const target = new ConformanceTarget(line.toString().trim());
  const kill = async (): Promise<void> => {
    target[Symbol.dispose]();
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'close');
    child.kill('SIGKILL');
    await exited;
  };
  return { url: line.toString().trim(), target, failures, kill, [Symbol.asyncDispose]: kill };
}

const domainOf = ({ url }: Running): string => url.slice('http://'.length);

async function readBlob({ target }: Running, name: string, digest: Digest): Promise<Buffer> {
  const { status, body } = await target.send('GET', `/v2/${name}/blobs/${digest}`);
  expect(status).toBe(200);
  return body;
}

describeRoot('registries over one bucket', () => {
  let server: S3Server;
  let bucket: S3StorageOptions;
  let one: Running;
  let other: Running;
  beforeAll(async () => {
    server = await startS3Server();
    bucket = { ...(await server.createBucket()), takeoverMs: 1000 };
    [one, other] = await Promise.all([start(bucket), start(bucket)]);
    server.client.destroy();
  }, 120_000);
  afterAll(async () => {
    await Promise.all([one, other].map((registry) => registry.kill()));
    await server.stop();
  });

  const sections = Map.groupBy(conformanceCases, ({ section }) => section);
  test.each([...sections.keys()])('keep the specification: %s', async (section) => {
    const failed: string[] = [];
    for (const { title, run: runCase } of sections.get(section) ?? []) {
      await runCase(one.target).catch((error: unknown) => failed.push(`${title}: ${String(error)}`));
    }
    expect(failed).toEqual([]);
    expect(one.failures).toEqual([]);
  });

  test('chunks of one upload go through two processes, large and small ones in turn', async () => {
    const bytes = randomBytes(20 * MIB + 77);
    const ends = [100, 6 * MIB, 6 * MIB + 1, 13 * MIB, 13 * MIB + 5000, 20 * MIB + 70];
    let location = await one.target.start('chunked');
    let begin = 0;
    for (const [at, end] of ends.entries()) {
      const { target } = at % 2 === 0 ? one : other;
      const headers = { 'Content-Range': `${String(begin)}-${String(end - 1)}` };
      const answer = await target.send('PATCH', location, { headers, body: bytes.subarray(begin, end) });
      expect(answer.status).toBe(202);
      expect(answer.headers['range']).toBe(`0-${String(end - 1)}`);
      location = locationOf(answer);
      begin = end;
    }
    const finish = withQuery(location, `digest=${digestOf(bytes)}`);
    expect((await other.target.send('PUT', finish, { body: bytes.subarray(begin) })).status).toBe(201);
    expect((await readBlob(one, 'chunked', digestOf(bytes))).equals(bytes)).toBe(true);
    const headers = { Range: `bytes=${String(6 * MIB - 10)}-${String(13 * MIB + 9)}` };
    const part = await other.target.send('GET', `/v2/chunked/blobs/${digestOf(bytes)}`, { headers });
    expect(part.status).toBe(206);
    expect(part.body.equals(bytes.subarray(6 * MIB - 10, 13 * MIB + 10))).toBe(true);
  });

  test('an upload whose writer is killed goes on through another process', async () => {
    await using victim = await start(bucket);
    const bytes = randomBytes(19 * MIB);
    const location = await victim.target.start('killed');
    const first = await victim.target.send('PATCH', location, { body: bytes.subarray(0, 6 * MIB) });
    expect(first.status).toBe(202);
    const { hostname, port } = new URL(victim.url);
    const broken = request({ method: 'PATCH', hostname, port, path: location, agent: false });
    broken.on('error', () => undefined);
    const closed = new Promise((resolve) => broken.once('close', resolve));
    await new Promise((resolve) => broken.write(bytes.subarray(6 * MIB, 18 * MIB), resolve));
    await victim.kill();
    await closed;
    const status = await other.target.send('GET', location);
    expect(status.headers['range']).toBe(`0-${String(6 * MIB - 1)}`);
    const rest = await other.target.send('PATCH', location, { body: bytes.subarray(6 * MIB) });
    expect(rest.status).toBe(202);
    expect((await other.target.send('PUT', withQuery(location, `digest=${digestOf(bytes)}`))).status).toBe(201);
    expect((await readBlob(one, 'killed', digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('what one collects beside the pushes of another was needed by nobody', async () => {
    await using collector = await start({ ...bucket, graceMs: 1 });
    const lost = await one.target.pushBlob('collected', randomBytes(1000));
    const shared = Buffer.from('shared by all');
    const images: { readonly name: string; readonly manifest: Digest; readonly blobs: readonly Buffer[] }[] = [];
    let done = false;
    const push = async (registry: Running, name: string): Promise<void> => {
      while (!done) {
        const blobs = [randomBytes(20), randomBytes(200_000), shared];
        for (const bytes of blobs) await registry.target.pushBlob(name, bytes);
        const [config, ...layers] = blobs.map((bytes) => describe(bytes, 'application/octet-stream'));
        const image = { schemaVersion: 2, mediaType: MANIFEST, config, layers };
        const { digest } = await registry.target.pushManifest(name, 'latest', image);
        images.push({ name, manifest: digest, blobs });
      }
    };
    // Collections add to their grace period what clocks and repeated questions may differ by. To ask for the blob would be to
    // need it, so it is only listed.
    const watch = async (): Promise<void> => {
      await using storage = await openS3Storage(bucket);
      while (images.length < 20 || (await Array.fromAsync(storage.listBlobs('collected'))).length > 0) await sleep(100);
      done = true;
    };
    await Promise.all([push(one, 'app/a'), push(other, 'app/a'), push(other, 'app/b'), watch()]);
    await collector.kill();
    expect(collector.failures).toEqual([]);
    expect((await other.target.send('HEAD', `/v2/collected/blobs/${lost}`)).status).toBe(404);
    for (const { name, manifest, blobs } of images) {
      expect((await one.target.send('GET', `/v2/${name}/manifests/${manifest}`)).status).toBe(200);
      for (const bytes of blobs) expect((await readBlob(one, name, digestOf(bytes))).equals(bytes)).toBe(true);
    }
    {
      await using storage = await openS3Storage(bucket);
      await storage.removeStaleUploads(0);
      await storage.collectGarbage(0);
      for (const bytes of images.flatMap(({ blobs }) => blobs)) {
        expect(await storage.verifyContent(digestOf(bytes))).toBe('intact');
      }
      // Nothing is left for a second look.
      expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 });
    }
  }, 240_000);

  test('blobs are had from the object storage itself, where that is wanted', async () => {
    await using redirecting = await start({ ...bucket, redirect: true });
    const bytes = randomBytes(100_000);
    const digest = await redirecting.target.pushBlob('redirected', bytes);
    const path = `/v2/redirected/blobs/${digest}`;
    const answer = await redirecting.target.send('GET', path);
    expect(answer.status).toBe(307);
    const location = locationOf(answer);
    expect(location.startsWith(bucket.endpoint ?? '')).toBe(true);
    const whole = await fetch(location, { headers: { Connection: 'close' } });
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(location, { headers: { Connection: 'close', Range: 'bytes=5-9' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(5, 10))).toBe(true);
    const head = await redirecting.target.send('HEAD', path);
    expect([head.status, head.headers['content-length']]).toEqual([200, '100000']);
    expect((await redirecting.target.send('GET', `/v2/nobody/blobs/${digest}`)).status).toBe(404);
    await redirecting.kill();
    expect(redirecting.failures).toEqual([]);
  });

  test('our client and skopeo follow there', async () => {
    await using redirecting = await start({ ...bucket, redirect: true });
    const image = `${domainOf(redirecting)}/clients/app`;
    const bytes = randomBytes(3_000_000);
    {
      await using client = openRegistryClient();
      const blob = blobFromBytes(bytes, 'text/plain');
      const artifact = composeArtifact({ artifactType: 'text/x', blobs: [blob] });
      for await (const _event of pushArtifact(client, `${image}:1`, artifact));
      const repository = client.repository(image);
      const chunks: Buffer[] = [];
      for await (const chunk of repository.blob(blob.descriptor).open()) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    }
    const dir = await mkdtemp(join(tmpdir(), 's3-pulled-'));
    await run('skopeo', ['copy', '--src-tls-verify=false', `docker://${image}:1`, `dir:${dir}`]);
    expect((await readFile(join(dir, digestOf(bytes).slice('sha256:'.length)))).equals(bytes)).toBe(true);
    await rm(dir, { recursive: true });
    await redirecting.kill();
    expect(redirecting.failures).toEqual([]);
  });
});
