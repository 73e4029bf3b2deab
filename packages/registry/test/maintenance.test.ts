import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { contentFile } from '../src/filesystem/layout.ts';
import {
  applyRetention,
  openFileSystemStorage,
  openPolicy,
  scheduleMaintenance,
  scrubStorage,
  serveRegistry,
} from '../src/index.ts';
import type { Digest, RegistryStorage } from '../src/index.ts';
import { ConformanceTarget, describe as describeBytes, digestOf, MANIFEST } from '../src/testing/case.ts';
import { manifestOf, push } from '../src/testing/contract-steps.ts';

let rootDir: string;
let storage: RegistryStorage;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
});
afterEach(() => rm(rootDir, { recursive: true }));

async function readWhole(name: string, digest: Digest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await storage.openBlob(name, digest)).stream()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('a scrub that is killed', () => {
  const rounds = 10;
  const repositories = Array.from({ length: 12 }, (_, at) => `team/app${String(at)}`);

  test('has taken nothing that was whole, and the next one leaves nothing that isn’t', async () => {
    const contents: Buffer[] = [];
    for (let round = 0; round < rounds; round++) {
      const bytes = randomBytes(50_000);
      contents.push(bytes);
      const digest = digestOf(bytes);
      await push(storage, repositories[0] ?? '', bytes);
      for (const name of repositories) {
        await storage.mountBlob(name, digest, { from: [repositories[0] ?? ''] });
        await storage.writeManifest(name, manifestOf(`needs ${digest}`, { tags: [`t${String(round)}`] }));
      }
      // Every other one stays whole.
      if (round % 2 === 0) {
        await using handle = await open(contentFile(rootDir, digest), 'r+');
        await handle.write(Buffer.from([(bytes[100] ?? 0) ^ 1]), 0, 1, 100);
      }
      const program = join(import.meta.dirname, 'maintenance-program.ts');
      const child = spawn(process.execPath, [program, rootDir], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      await sleep(randomInt(1, 120));
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await scrubStorage(storage);
    for (const [at, bytes] of contents.entries()) {
      for (const name of repositories) {
        const found = await readWhole(name, digestOf(bytes)).catch(() => undefined);
        if (at % 2 === 1) expect(found?.equals(bytes)).toBe(true);
        else expect(found).toBeUndefined();
      }
    }
    for (const entry of await readdir(join(rootDir, 'corrupt'))) {
      expect((await stat(join(rootDir, 'corrupt', entry))).nlink).toBe(1);
    }
    // One push heals them all.
    for (const bytes of contents) await push(storage, 'elsewhere', bytes);
    await storage.collectGarbage(60_000);
    for (const bytes of contents) {
      for (const name of repositories) expect((await readWhole(name, digestOf(bytes))).equals(bytes)).toBe(true);
    }
    expect((await scrubStorage(storage)).found).toEqual([]);
    expect(await readdir(join(rootDir, 'temporary'))).toEqual([]);
  }, 120_000);
});

describe('all of maintenance beside clients', () => {
  test('leaves every tag that is there whole', async () => {
    const policy = openPolicy([{ repositories: ['**'], immutableTags: ['v*'] }]);
    const failures: unknown[] = [];
    const onFailure = (failure: unknown): void => void failures.push(failure);
    await using server = await serveRegistry({ listen: '127.0.0.1:0', rootDir, policy, onFailure });
    const controller = new AbortController();
    const refused: string[] = [];
    const immutable: { readonly name: string; readonly tag: string; readonly digest: Digest }[] = [];
    const pusher = async (at: number): Promise<void> => {
      using target = new ConformanceTarget(server.url);
      for (let round = 0; !controller.signal.aborted; round++) {
        const name = `team/app${String(randomInt(3))}`;
        const [config, layer] = [randomBytes(20), randomBytes(randomInt(1, 50_000))];
        for (const bytes of [config, layer]) await target.pushBlob(name, bytes);
        const image = {
          ...{ schemaVersion: 2, mediaType: MANIFEST },
          config: describeBytes(config, 'application/octet-stream'),
          layers: [describeBytes(layer, 'application/octet-stream')],
        };
        const tag = round % 3 === 2 ? `v${String(at)}.${String(round)}` : `t${String(randomInt(8))}`;
        try {
          const { digest } = await target.pushManifest(name, tag, image);
          if (tag.startsWith('v')) immutable.push({ name, tag, digest });
        } catch (error) {
          refused.push(String(error));
        }
      }
    };
    {
      await using _jobs = scheduleMaintenance({
        storage,
        policy,
        uploads: { everyMs: 20, maxAgeMs: 60_000 },
        retention: {
          everyMs: 20,
          rules: [{ repositories: ['team/**'], tags: ['t*'], keepNewest: 3, removeUntaggedAfterMs: 1000 }],
        },
        garbage: { everyMs: 20, graceMs: 3000 },
        scrub: { everyMs: 50 },
        onFailure,
      });
      const pushers = [0, 1, 2, 3].map(pusher);
      await sleep(6000);
      controller.abort();
      await Promise.all(pushers);
    }
    expect(failures).toEqual([]);
    expect(refused).toEqual([]);
    const rules = [{ repositories: ['team/**'], tags: ['t*'], keepNewest: 3, removeUntaggedAfterMs: 0 }];
    await applyRetention(storage, rules, { policy, nowMs: Date.now() + 1000 });
    await storage.collectGarbage(0);
    expect((await scrubStorage(storage)).found).toEqual([]);
    expect(immutable.length).toBeGreaterThan(0);
    for (const { name, tag, digest } of immutable) expect(await storage.resolveTag(name, tag)).toBe(digest);
    for (const name of ['team/app0', 'team/app1', 'team/app2']) {
      const { entries } = await storage.listTags(name, { limit: undefined, after: undefined });
      expect(entries.filter((tag) => tag.startsWith('t'))).toHaveLength(3);
      let manifests = 0;
      for await (const _ of storage.listManifests(name)) manifests += 1;
      expect(manifests).toBe(entries.length);
    }
  }, 120_000);
});
