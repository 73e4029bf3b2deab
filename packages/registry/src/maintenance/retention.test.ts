import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { Digest } from '../names.ts';
import { openPolicy } from '../policy/rules.ts';
import type { RegistryStorage } from '../storage.ts';
import { manifestOf } from '../testing/contract-steps.ts';
import { applyRetention } from './retention.ts';

let rootDir: string;
let storage: RegistryStorage;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
});
afterEach(() => rm(rootDir, { recursive: true }));

const later = (): number => Date.now() + 1000;

const write = async (name: string, text: string, ...tags: readonly string[]): Promise<Digest> => {
  await storage.writeManifest(name, manifestOf(text, { tags }));
  return manifestOf(text).digest;
};

async function writeReferrer(name: string, text: string, subject: Digest): Promise<Digest> {
  const { mediaType, digest, bytes } = manifestOf(text);
  const annotations = new Map<string, string>();
  const referrer = { mediaType, digest, sizeBytes: bytes.byteLength, artifactType: undefined, annotations };
  await storage.writeManifest(name, manifestOf(text, { subject, referrer }));
  return digest;
}

async function leftIn(name: string): Promise<{ readonly tags: readonly string[]; readonly manifests: number }> {
  let manifests = 0;
  for await (const _ of storage.listManifests(name)) manifests += 1;
  return { tags: (await storage.listTags(name, { limit: undefined, after: undefined })).entries, manifests };
}

const everything = [{ repositories: ['**'], keepTags: ['keep*'], removeUntaggedAfterMs: 0 }];

describe('retention', () => {
  test('removes tags, and manifests that nothing kept needs, and says so', async () => {
    const member = await write('a', 'member');
    const index = await write('a', `index of ${member}`, 'keep', 'goes');
    const sbom = await writeReferrer('a', 'sbom', member);
    const lost = await write('a', 'lost', 'v1');
    await writeReferrer('a', 'signature of the lost', lost);
    await write('b/c', 'alone', 'keep');
    const dry = await applyRetention(storage, everything, { dryRun: true, nowMs: later() });
    expect(await leftIn('a')).toEqual({ tags: ['goes', 'keep', 'v1'], manifests: 5 });
    const report = await applyRetention(storage, everything, { nowMs: later() });
    expect({ ...report, dryRun: true }).toEqual(dry);
    expect(report.repositories.map(({ name }) => name)).toEqual(['a']);
    expect(report.repositories[0]?.tags.map(({ tag }) => tag).sort()).toEqual(['goes', 'v1']);
    expect(report.repositories[0]?.manifests[0]).toEqual({
      digest: lost,
      sizeBytes: manifestOf('lost').bytes.byteLength,
      reason: 'without a tag, and older than 0 ms',
    });
    expect(await leftIn('a')).toEqual({ tags: ['keep'], manifests: 3 });
    for (const digest of [member, index, sbom]) await storage.readManifest('a', digest);
    expect(await storage.listReferrers('a', lost)).toEqual([]);
    expect((await applyRetention(storage, everything, { nowMs: later() })).repositories).toEqual([]);
  });

  test('leaves immutable tags', async () => {
    await write('a', 'x', 'v1', 'w1');
    const policy = openPolicy([{ repositories: ['a'], immutableTags: ['v*'] }]);
    await applyRetention(storage, everything, { nowMs: later(), policy });
    expect(await leftIn('a')).toEqual({ tags: ['v1'], manifests: 1 });
  });

  test('leaves a tag that moved, and a manifest that got one, since it looked', async () => {
    const [first, second] = [await write('a', 'first', 'moving', 'other'), await write('a', 'second')];
    // Whatever is resolved first is the sign that the looking is over.
    let looked = false;
    const slow: RegistryStorage = {
      ...storage,
      resolveTag: async (name, tag) => {
        if (!looked) {
          looked = true;
          await storage.writeManifest('a', manifestOf('first', { tags: ['new'] }));
          await storage.writeManifest('a', manifestOf('second', { tags: ['moving'] }));
        }
        return storage.resolveTag(name, tag);
      },
    };
    const report = await applyRetention(slow, everything, { nowMs: later() });
    expect(report.repositories[0]?.tags.map(({ tag }) => tag)).toEqual(['other']);
    expect(report.repositories[0]?.manifests).toEqual([]);
    expect(await storage.resolveTag('a', 'moving')).toBe(second);
    expect(await storage.resolveTag('a', 'new')).toBe(first);
  });

  test('stops when it is told to', async () => {
    await write('a', 'x', 't');
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(applyRetention(storage, everything, { nowMs: later(), signal })).rejects.toThrow('enough');
    expect(await leftIn('a')).toEqual({ tags: ['t'], manifests: 1 });
  });

  test('removes hundreds', async () => {
    const { mediaType } = manifestOf('');
    for (let at = 0; at < 300; at++) {
      const bytes = Buffer.from(JSON.stringify({ at }));
      const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      await storage.writeManifest('a', { mediaType, bytes, digest, tags: [], subject: undefined, referrer: undefined });
    }
    await write('a', 'kept', 'keep');
    await applyRetention(storage, everything, { nowMs: later() });
    expect(await leftIn('a')).toEqual({ tags: ['keep'], manifests: 1 });
  }, 120_000);
});
