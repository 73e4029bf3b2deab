import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { expect } from '@jest/globals';

import { isRegistryError } from '../src/index.ts';
import type { Digest, RegistryStorage } from '../src/index.ts';
import { digestOf } from './fault-scenarios.ts';
import type { Fact } from './fault-scenarios.ts';

async function unlessUnknown<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isRegistryError(error) && error.status === 404) return undefined;
    throw error;
  }
}

const digestLike = (digest: Digest, bytes: Uint8Array): string => {
  const algorithm = digest.slice(0, digest.indexOf(':'));
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
};

/** The digest of what is served under one; undefined when nothing is. */
export async function servedDigest(
  storage: RegistryStorage,
  name: string,
  digest: Digest,
): Promise<string | undefined> {
  const blob = await unlessUnknown(storage.openBlob(name, digest));
  if (blob === undefined) return undefined;
  const algorithm = digest.slice(0, digest.indexOf(':'));
  const hash = createHash(algorithm);
  for await (const chunk of blob.stream()) hash.update(chunk as Buffer);
  return `${algorithm}:${hash.digest('hex')}`;
}

/** What a storage says about a fact, to be compared with it. */
async function lookAt(storage: RegistryStorage, fact: Fact): Promise<unknown> {
  const { name } = fact;
  switch (fact.type) {
    case 'blob':
      return { ...fact, digest: await servedDigest(storage, name, fact.digest) };
    case 'no-blob':
      return (await servedDigest(storage, name, fact.digest)) === undefined ? fact : { ...fact, still: 'there' };
    case 'manifest': {
      const manifest = await unlessUnknown(storage.readManifest(name, fact.digest));
      return { ...fact, digest: manifest === undefined ? undefined : digestOf(manifest.bytes) };
    }
    case 'no-manifest': {
      const manifest = await unlessUnknown(storage.readManifest(name, fact.digest));
      return manifest === undefined ? fact : { ...fact, still: 'there' };
    }
    case 'tag':
      return { ...fact, digest: await unlessUnknown(storage.resolveTag(name, fact.tag)) };
    case 'no-tag':
      return (await unlessUnknown(storage.resolveTag(name, fact.tag))) === undefined
        ? fact
        : { ...fact, still: 'there' };
    case 'referrer': {
      const referrers = await storage.listReferrers(name, fact.subject);
      return { ...fact, digest: referrers.find(({ digest }) => digest === fact.digest)?.digest };
    }
  }
}

/** Every one of some facts holds. A tag that was moved by what came later is not among them. */
export async function expectFacts(storage: RegistryStorage, facts: readonly Fact[]): Promise<void> {
  for (const fact of facts) expect(await lookAt(storage, fact)).toEqual(fact);
}

/** Whatever can be read is whole, and whatever is listed can be read; of tags see below. */
export async function expectWhole(storage: RegistryStorage): Promise<void> {
  for await (const { digest } of storage.listContents()) {
    expect([digest, await storage.verifyContent(digest)]).toEqual([digest, 'intact']);
  }
  for (const name of (await storage.listRepositories({ limit: undefined, after: undefined })).entries) {
    for await (const { digest } of storage.listBlobs(name)) {
      expect(await servedDigest(storage, name, digest)).toBe(digest);
    }
    for await (const { digest } of storage.listManifests(name)) {
      expect(digestLike(digest, (await storage.readManifest(name, digest)).bytes)).toBe(digest);
      for (const referrer of await storage.listReferrers(name, digest)) {
        expect(digestLike(referrer.digest, (await storage.readManifest(name, referrer.digest)).bytes)).toBe(
          referrer.digest,
        );
      }
    }
  }
}

/** No tag leads nowhere. While a manifest is deleted its tags do, and when that is broken off until the next collection. */
async function expectTagged(storage: RegistryStorage): Promise<void> {
  for (const name of (await storage.listRepositories({ limit: undefined, after: undefined })).entries) {
    const { entries: tags } = await storage.listTags(name, { limit: undefined, after: undefined });
    for (const tag of tags) await storage.readManifest(name, await storage.resolveTag(name, tag));
  }
}

/** After one collection there is nothing for another one, and nothing unfinished. */
export async function expectNoOrphans(storage: RegistryStorage, rootDir: string): Promise<void> {
  await storage.removeStaleUploads(0);
  await storage.collectGarbage(0);
  expect(await storage.collectGarbage(0)).toMatchObject({ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 });
  expect(await readdir(join(rootDir, 'uploads'))).toEqual([]);
  await expectTagged(storage);
}
