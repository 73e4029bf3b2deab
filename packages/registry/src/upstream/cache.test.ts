import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { OCI_INDEX, OCI_MANIFEST } from '@tsc/image';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { NewManifest } from '../storage.ts';
import { storageContract } from '../testing/storage-contract.ts';
import { cacheUpstreams, namespacesOf } from './cache.ts';
import type { CachingStorage } from './cache.ts';
import { newManifest } from './documents.ts';
import { evictIdle } from './idle.ts';
import type { Upstream } from './options.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
});
afterEach(() => rm(dir, { recursive: true }));

const HUB: Upstream = { prefix: 'docker.io', registry: 'docker.io' };

const open = async (...upstreams: readonly Upstream[]): Promise<CachingStorage> =>
  cacheUpstreams(await openFileSystemStorage(join(dir, 'root')), upstreams, { spoolDir: join(dir, 'spool') });

describe('the contract of storages, kept by a cache for names that are no upstream’s', () => {
  test.each(storageContract)('$title', async ({ run }) => {
    await using one = await open(HUB);
    await using other = await open(HUB);
    await run({ one, other });
    expect(await readdir(join(dir, 'spool'))).toEqual([]);
  });
});

describe('what a cache is configured with', () => {
  test('ns means the registry, or what it is told to', () => {
    const upstreams = [HUB, { prefix: 'ours', registry: 'registry.example:5000', namespace: 'registry.example' }];
    expect([...namespacesOf(upstreams)]).toEqual([
      ['docker.io', 'docker.io'],
      ['registry.example', 'ours'],
    ]);
    // Names of a registry that mirrors another one whole have no prefix to put before them.
    expect(namespacesOf([{ prefix: '', registry: 'docker.io' }]).size).toBe(0);
  });

  test.each([
    ['a registry that would be taken for a repository', [{ prefix: 'a', registry: 'registry' }]],
    ['a registry with a path', [{ prefix: 'a', registry: 'docker.io/library' }]],
    ['a registry with a scheme', [{ prefix: 'a', registry: 'https://docker.io' }]],
    ['a prefix that is no name', [{ prefix: 'localhost:5000', registry: 'docker.io' }]],
    ['a remote prefix that is no name', [{ prefix: 'a', registry: 'docker.io', remotePrefix: '../b' }]],
    ['an empty pattern', [{ prefix: 'a', registry: 'docker.io', deny: [''] }]],
    ['two upstreams of one prefix', [HUB, { ...HUB, namespace: 'other' }]],
    ['two upstreams of one namespace', [HUB, { ...HUB, prefix: 'other' }]],
  ])('%s is refused', async (_what, upstreams) => {
    await expect(open(...upstreams)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('names of an upstream take no pushes, and what it may not have is denied', async () => {
    await using storage = await open({ ...HUB, allow: ['library/*'] });
    const refused = { code: 'UNSUPPORTED', status: 405 };
    await expect(storage.startUpload('docker.io/library/a', 'sha256')).rejects.toMatchObject(refused);
    const digest = `sha256:${'0'.repeat(64)}` as const;
    await expect(storage.mountBlob('docker.io/library/a', digest, { from: undefined })).rejects.toMatchObject(refused);
    await expect(storage.resolveTag('docker.io/team/a', '1')).rejects.toMatchObject({ code: 'DENIED' });
    // The prefix itself is a name like any other.
    await expect(storage.resolveTag('docker.io', '1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });
});

test('of what nobody pulled for long, that stays which something needs that does', async () => {
  const storage = await openFileSystemStorage(join(dir, 'root'));
  const make = (document: object, mediaType: string): NewManifest => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
    return newManifest({ mediaType, bytes }, `sha256:${createHash('sha256').update(bytes).digest('hex')}`, []);
  };
  const lineOf = ({ digest, mediaType, bytes }: NewManifest): object => ({ digest, mediaType, size: bytes.byteLength });
  const empty = { mediaType: 'text/a', digest: `sha256:${'0'.repeat(64)}`, size: 0 };
  const image = (title: string, subject?: NewManifest): NewManifest =>
    make(
      { config: empty, layers: [], annotations: { title }, ...(subject && { subject: lineOf(subject) }) },
      OCI_MANIFEST,
    );
  const [member, other] = [image('member'), image('other')];
  const index = make({ manifests: [lineOf(member)] }, OCI_INDEX);
  const signature = image('signature', index);
  const all = [member, other, index, signature, image('signed signature', signature), image('of other', other)];
  for (const manifest of all) await storage.writeManifest('hub/app', manifest);
  await storage.writeManifest('own', other);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await storage.writeManifest('hub/app', index);
  expect(await evictIdle(storage, [{ prefix: 'hub' }], { maxIdleMs: 1400 })).toEqual({ evictedManifests: 2 });
  const left: string[] = [];
  for await (const { digest } of storage.listManifests('hub/app')) left.push(digest);
  const kept = all.filter((manifest) => manifest !== other && manifest !== all.at(-1));
  expect(left.sort()).toEqual(kept.map(({ digest }) => digest).sort());
  expect(await storage.statManifest('own', other.digest)).toMatchObject({ mediaType: OCI_MANIFEST });
});
