import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { openFileSystemStorage } from '../src/index.ts';
import type { Digest } from '../src/index.ts';
import { ConformanceTarget, describe, digestOf, MANIFEST } from '../src/testing/case.ts';

const kills = 10;
const pushers = 6;

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
}

async function start(rootDir: string): Promise<Running> {
  const program = join(import.meta.dirname, 'registry-program.ts');
  const child = spawn(process.execPath, [program, rootDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.stdout.resume();
  return { child, url: line.toString().trim() };
}

async function kill({ child }: Running): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** What a pusher was told is stored. */
interface Acknowledged {
  readonly name: string;
  readonly manifest: Digest;
  readonly blobs: readonly Digest[];
}

describeRoot('a registry that is killed while clients push and garbage is collected', () => {
  let rootDir: string;
  beforeAll(async () => {
    rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-kill-'));
  });
  afterAll(() => rm(rootDir, { recursive: true }));

  test(`keeps what it acknowledged through ${String(kills)} kills, and nothing else in the end`, async () => {
    let running = await start(rootDir);
    let done = false;
    const acknowledged: Acknowledged[] = [];
    const unexpected: unknown[] = [];

    const pushOne = async (target: ConformanceTarget, name: string): Promise<Acknowledged> => {
      const contents = [randomBytes(20), randomBytes(randomInt(1, 300_000)), Buffer.from('shared by all')];
      const blobs: Digest[] = [];
      for (const bytes of contents) blobs.push(await target.pushBlob(name, bytes));
      const [config, ...layers] = contents.map((bytes) => describe(bytes, 'application/octet-stream'));
      const image = { schemaVersion: 2, mediaType: MANIFEST, config, layers };
      const { digest } = await target.pushManifest(name, `t${String(randomInt(5))}`, image);
      return { name, manifest: digest, blobs };
    };

    const pusher = async (name: string): Promise<void> => {
      while (!done) {
        using target = new ConformanceTarget(running.url);
        try {
          acknowledged.push(await pushOne(target, name));
        } catch (error) {
          // A server that is killed shows as a broken connection; an answer that is wrong is a failure of ours.
          if (!/ECONNREFUSED|ECONNRESET|socket hang up|aborted/.test(String(error))) unexpected.push(error);
          await sleep(20);
        }
      }
    };

    const working = Array.from({ length: pushers }, (_, at) => pusher(`team/app${String(at % 3)}`));
    for (let at = 0; at < kills; at++) {
      await sleep(randomInt(100, 600));
      await kill(running);
      running = await start(rootDir);
    }
    done = true;
    await Promise.all(working);
    await kill(running);
    expect(unexpected).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(kills);

    const storage = await openFileSystemStorage(rootDir);
    await storage.removeStaleUploads(0);
    await storage.collectGarbage(0);
    for (const { name, manifest, blobs } of acknowledged) {
      expect(digestOf((await storage.readManifest(name, manifest)).bytes)).toBe(manifest);
      for (const digest of blobs) {
        const chunks: Buffer[] = [];
        for await (const chunk of (await storage.openBlob(name, digest)).stream()) chunks.push(chunk as Buffer);
        expect(digestOf(Buffer.concat(chunks))).toBe(digest);
      }
    }

    // Nothing is left for a second look: every content is in a repository, and every blob there in a manifest.
    expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 });
    expect(await readdir(join(rootDir, 'uploads'))).toEqual([]);
  }, 120_000);
});
