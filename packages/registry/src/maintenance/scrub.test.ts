import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { contentFile, linkFile, manifestFile, referrerFile } from '../filesystem/layout.ts';
import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { Digest } from '../names.ts';
import type { NewManifest, RegistryStorage } from '../storage.ts';
import { digestOf, manifestOf, push } from '../testing/contract-steps.ts';
import { scrubStorage } from './scrub.ts';

let rootDir: string;
let storage: RegistryStorage;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
});
afterEach(() => rm(rootDir, { recursive: true }));

async function damage(path: string): Promise<void> {
  await using handle = await open(path, 'r+');
  const { size } = await handle.stat();
  await handle.write(Buffer.from('~'), 0, 1, size - 1);
}

const IMAGE = 'application/vnd.oci.image.manifest.v1+json';

function imageOf(digests: readonly Digest[], tag: string): NewManifest {
  const [config, ...layers] = digests.map((digest) => ({ mediaType: 'text/x', digest, size: 1 }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config, layers }));
  return { mediaType: IMAGE, bytes, digest: digestOf(bytes), tags: [tag], subject: undefined, referrer: undefined };
}

async function pushImage(name: string, ...texts: readonly string[]): Promise<NewManifest> {
  const digests: Digest[] = [];
  for (const text of texts) digests.push(await push(storage, name, Buffer.from(text)));
  const image = imageOf(digests, 't');
  await storage.writeManifest(name, image);
  return image;
}

describe('scrub', () => {
  test('finds nothing wrong with what is whole', async () => {
    await pushImage('a', 'config', 'layer');
    await pushImage('b/c', 'config', 'another');
    const told: number[] = [];
    const report = await scrubStorage(storage, { onProgress: ({ checkedContents }) => told.push(checkedContents) });
    expect(report).toEqual({
      ...{ checkedContents: 3, checkedBytes: 18, checkedManifests: 2, findings: 0 },
      ...{ intactContents: 3, goneContents: 0, found: [] },
    });
    expect(told).toEqual([1, 2, 3, 3, 3]);
  });

  test('says which manifests of which repositories a corrupt content is missing in', async () => {
    const [a, b] = [await pushImage('a', 'config', 'shared'), await pushImage('b', 'other config', 'shared')];
    await pushImage('c', 'fine');
    const digest = digestOf(Buffer.from('shared'));
    await damage(contentFile(rootDir, digest));
    const { found, intactContents } = await scrubStorage(storage);
    expect(intactContents).toBe(3);
    expect(found).toEqual([
      { type: 'corrupt-content', digest, sizeBytes: 6 },
      { type: 'incomplete-manifest', name: 'a', digest: a.digest, missing: [digest], tags: ['t'] },
      { type: 'incomplete-manifest', name: 'b', digest: b.digest, missing: [digest], tags: ['t'] },
    ]);
    await push(storage, 'a', Buffer.from('shared'));
    await storage.collectGarbage(60_000);
    expect((await scrubStorage(storage)).found).toEqual([]);
  });

  test('finds manifests that are corrupt, tags that lead nowhere, lost blobs, lost referrers', async () => {
    const image = await pushImage('a', 'config', 'layer');
    const { mediaType, digest, bytes } = manifestOf('sbom');
    const annotations = new Map<string, string>();
    const referrer = { mediaType, digest, sizeBytes: bytes.byteLength, artifactType: undefined, annotations };
    await storage.writeManifest('a', manifestOf('sbom', { subject: image.digest, referrer }));
    await storage.writeManifest('b', manifestOf('damaged', { tags: ['v1'] }));
    const layer = digestOf(Buffer.from('layer'));
    await rm(linkFile(rootDir, 'a', layer));
    await rm(referrerFile(rootDir, 'a', { subject: image.digest, digest }));
    await damage(manifestFile(rootDir, 'b', manifestOf('damaged').digest));
    const { found } = await scrubStorage(storage);
    const damaged = manifestOf('damaged').digest;
    expect(found).toEqual([
      { type: 'incomplete-manifest', name: 'a', digest: image.digest, missing: [layer], tags: ['t'] },
      { type: 'lost-referrer', name: 'a', digest, subject: image.digest },
      { type: 'corrupt-manifest', name: 'b', digest: damaged },
      { type: 'lost-tag', name: 'b', tag: 'v1', digest: damaged },
    ]);
  });

  test('reads no faster than it may, and stops when it is told to', async () => {
    await push(storage, 'a', Buffer.alloc(300_000));
    const begun = performance.now();
    await scrubStorage(storage, { bytesPerSecond: 1_000_000 });
    expect(performance.now() - begun).toBeGreaterThan(280);
    const enough = new AbortController();
    const slow = scrubStorage(storage, { bytesPerSecond: 1000, signal: enough.signal });
    setTimeout(() => enough.abort(new Error('enough')), 50);
    await expect(slow).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(20_000);
  });
});
