import { equal, match } from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openFileSystemStorage } from '../src/index.ts';
import type { RegistryLimits } from '../src/index.ts';
import { isName } from '../src/names.ts';
import { ConformanceTarget, digestOf } from '../src/testing/case.ts';
import type { HostileTarget } from './hostile-registry.ts';

/** Short enough that thousands of requests that stand still don't take an hour. */
export const FUZZ_LIMITS: Partial<RegistryLimits> = { stallTimeoutMs: 300, blobMaxBytes: 1_000_000 };
/** What stands in a file beside the root. */
export const SECRET = 'what nobody may read';

const NAMES: Readonly<Record<string, RegExp>> = {
  blobs: /^sha(256|512)(\/[0-9a-f]{2}(\/[0-9a-f]{64,128})?)?$/,
  uploads: /^sha(256|512)-[0-9a-f-]{36}\.[0-9a-f]{32}(\/[cwx]-[0-9a-f-]+|\/data)?$/,
  temporary: /^[\w.-]+(\/[\w-]+)?$/,
};

function checkRepositoryPath(path: string): void {
  const own = path.search(/\/_(blobs|manifests|tags|referrers|swept)(\/|$)/);
  equal(isName(own < 0 ? path : path.slice(0, own)), true, path);
  if (own >= 0) match(path.slice(own), /^\/_[a-z]+(\/[\w.-]+){0,3}$/);
}

/** Beside the root there is what was there, and in it nothing that has another form than what a registry writes. */
export async function expectOnlyRoot(outsideDir: string): Promise<void> {
  equal((await readdir(outsideDir)).sort().join(' '), 'canary root');
  equal(await readFile(join(outsideDir, 'canary'), 'utf8'), SECRET);
  const rootDir = join(outsideDir, 'root');
  equal((await readdir(rootDir)).sort().join(' '), 'blobs registry.json repositories temporary uploads');
  for (const [dir, form] of Object.entries(NAMES)) {
    for (const path of await readdir(join(rootDir, dir), { recursive: true })) match(path, form);
  }
  for (const path of await readdir(join(rootDir, 'repositories'), { recursive: true })) checkRepositoryPath(path);
}

/** The registry still takes and gives; it ends when told to; then its store is whole, and has nothing that nobody needs. */
export async function expectSound(target: HostileTarget, rootDir: string): Promise<void> {
  using client = new ConformanceTarget(target.url);
  const { digest } = await client.pushManifest('after/all', 'v1', await client.image('after/all'));
  const pulled = await client.send('GET', '/v2/after/all/manifests/v1');
  equal(digestOf(pulled.body), digest);
  equal(await target.close(), '0');
  equal(target.failures.join('\n'), '');
  await using storage = await openFileSystemStorage(rootDir);
  for await (const content of storage.listContents()) equal(await storage.verifyContent(content.digest), 'intact');
}
