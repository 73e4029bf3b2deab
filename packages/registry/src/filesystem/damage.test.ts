import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Digest } from '../names.ts';
import type { RegistryStorage } from '../storage.ts';
import { manifestOf, push } from '../testing/contract-steps.ts';
import { contentFile, corruptDir, linkFile, manifestFile, referrerFile, tagFile, temporaryDir } from './layout.ts';
import { openFileSystemStorage } from './storage.ts';

let rootDir: string;
let storage: RegistryStorage;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
});
afterEach(() => rm(rootDir, { recursive: true }));

/** Turns a byte of a file around, as a disk does. */
async function damage(path: string, position = 0): Promise<void> {
  await using handle = await open(path, 'r+');
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, position);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, position);
}

const has = (name: string, digest: Digest): Promise<boolean> =>
  storage.statBlob(name, digest).then(
    () => true,
    () => false,
  );

async function contents(): Promise<readonly Digest[]> {
  const digests: Digest[] = [];
  for await (const { digest } of storage.listContents()) digests.push(digest);
  return digests;
}

const bytes = Buffer.from('something that many need');

async function pushTo(...names: readonly string[]): Promise<Digest> {
  for (const name of names) {
    const digest = await push(storage, name, bytes);
    await storage.writeManifest(name, manifestOf(`needs ${digest}`, { tags: ['t'] }));
  }
  return push(storage, names[0] ?? '', bytes);
}

describe('a content that is corrupt on disk', () => {
  test('is served to nobody once it is found, and kept aside', async () => {
    const digest = await pushTo('a', 'b');
    await damage(contentFile(rootDir, digest));
    expect(await storage.verifyContent(digest)).toBe('corrupt');
    expect([await has('a', digest), await has('b', digest)]).toEqual([false, false]);
    await expect(storage.openBlob('a', digest)).rejects.toThrow('blob unknown');
    expect(await storage.mountBlob('c', digest, { from: undefined })).toBe(false);
    expect(await storage.mountBlob('c', digest, { from: ['a', 'b'] })).toBe(false);
    const [aside = ''] = await readdir(corruptDir(rootDir));
    expect((await stat(join(corruptDir(rootDir), aside))).nlink).toBe(1);
    expect(await storage.verifyContent(digest)).toBe('gone');
  });

  test('comes back to every repository that had it and needs it, when one pushes it again', async () => {
    const digest = await pushTo('a', 'b');
    await push(storage, 'unused', bytes);
    await damage(contentFile(rootDir, digest));
    await storage.verifyContent(digest);
    await push(storage, 'c', bytes);
    expect(await has('a', digest)).toBe(false);
    await storage.collectGarbage(60_000);
    expect([await has('a', digest), await has('b', digest), await has('c', digest)]).toEqual([true, true, true]);
    await storage.collectGarbage(0);
    expect([await has('a', digest), await has('b', digest), await has('unused', digest)]).toEqual([true, true, false]);
    expect(await storage.verifyContent(digest)).toBe('intact');
    for (const name of ['a', 'b', 'unused']) {
      expect(await readdir(join(rootDir, 'repositories', name, '_damaged', 'blobs'))).toEqual([]);
    }
  });

  test('is found where a repository has a file of its own, and those with the shared one keep it', async () => {
    const digest = await pushTo('a', 'b');
    // What a collection does that takes the shared name in the moment of a push.
    await rm(contentFile(rootDir, digest));
    await push(storage, 'c', bytes);
    await damage(linkFile(rootDir, 'a', digest));
    expect(await contents()).toEqual([digest]);
    expect(await storage.verifyContent(digest)).toBe('corrupt');
    expect([await has('a', digest), await has('b', digest), await has('c', digest)]).toEqual([false, false, true]);
    await storage.collectGarbage(60_000);
    expect([await has('a', digest), await has('b', digest)]).toEqual([true, true]);
    const inodes = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => (await stat(linkFile(rootDir, name, digest))).ino),
    );
    expect(new Set(inodes).size).toBe(1);
  });

  test('a file of a repository’s own without a shared one is looked at too', async () => {
    const digest = await pushTo('a');
    await rm(contentFile(rootDir, digest));
    await damage(linkFile(rootDir, 'a', digest));
    expect(await contents()).toEqual([digest]);
    expect(await storage.verifyContent(digest)).toBe('corrupt');
    expect(await has('a', digest)).toBe(false);
  });

  test('is taken from all when a process died on the way', async () => {
    const digest = await pushTo('a', 'b');
    await damage(contentFile(rootDir, digest));
    await mkdir(corruptDir(rootDir));
    await rename(contentFile(rootDir, digest), join(corruptDir(rootDir), `${digest.replace(':', '-')}.x`));
    expect(await contents()).toEqual([]);
    expect([await has('a', digest), await has('b', digest)]).toEqual([false, false]);
    await push(storage, 'b', bytes);
    await storage.collectGarbage(60_000);
    expect(await has('a', digest)).toBe(true);
  });

  test('an intact one that such a process had in its hands comes back', async () => {
    const digest = await pushTo('a');
    await mkdir(corruptDir(rootDir));
    await rename(contentFile(rootDir, digest), join(corruptDir(rootDir), `${digest.replace(':', '-')}.x`));
    expect(await contents()).toEqual([digest]);
    expect(await readdir(corruptDir(rootDir))).toEqual([]);
    expect(await has('a', digest)).toBe(true);
  });

  test('is left to nobody while others mount, push and collect', async () => {
    const digest = await pushTo('a', 'b');
    const inode = await (async () => {
      await damage(contentFile(rootDir, digest));
      return (await stat(contentFile(rootDir, digest))).ino;
    })();
    let done = false;
    const busy = async (at: number): Promise<void> => {
      for (let round = 0; !done; round++) {
        const name = `r${String((at * 7 + round) % 40)}`;
        if (at === 0) await push(storage, name, bytes);
        else if (at === 1) await storage.collectGarbage(60_000);
        else await storage.mountBlob(name, digest, { from: ['a', 'b', `r${String(round % 40)}`] });
      }
    };
    const others = [0, 1, 2, 3, 4].map(busy);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const states = await Promise.all([storage.verifyContent(digest), storage.verifyContent(digest)]);
    expect(states).toContain('corrupt');
    done = true;
    await Promise.all(others);
    const left: string[] = [];
    for (const entry of await readdir(rootDir, { recursive: true })) {
      const path = join(rootDir, entry);
      if ((await stat(path)).ino === inode) left.push(dirname(entry));
    }
    expect(left).toEqual(['corrupt']);
    await push(storage, 'a', bytes);
    await storage.collectGarbage(60_000);
    expect([await has('a', digest), await has('b', digest)]).toEqual([true, true]);
    expect(await storage.verifyContent(digest)).toBe('intact');
  });
});

describe('a manifest that is corrupt on disk', () => {
  test('is served to nobody once it is found; its tags and blobs wait for it', async () => {
    const digest = await pushTo('a');
    const manifest = manifestOf(`needs ${digest}`, { tags: ['t'] });
    await damage(manifestFile(rootDir, 'a', manifest.digest), 60);
    expect(await storage.verifyManifest('a', manifest.digest)).toBe('corrupt');
    await expect(storage.readManifest('a', manifest.digest)).rejects.toThrow('manifest unknown');
    expect(await storage.verifyManifest('a', manifest.digest)).toBe('gone');
    expect(await storage.resolveTag('a', 't')).toBe(manifest.digest);
    const report = await storage.collectGarbage(0);
    expect(report).toEqual({
      ...{ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 },
      unreadable: [{ name: 'a', digest: manifest.digest }],
    });
    await storage.writeManifest('a', manifestOf(`needs ${digest}`));
    expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 });
    expect(await storage.resolveTag('a', 't')).toBe(manifest.digest);
    expect(await has('a', digest)).toBe(true);
  });

  test('is forgotten when nothing leads to it any more, and its blobs with it', async () => {
    const digest = await pushTo('a');
    const manifest = manifestOf(`needs ${digest}`);
    await damage(manifestFile(rootDir, 'a', manifest.digest));
    expect(await storage.verifyManifest('a', manifest.digest)).toBe('corrupt');
    await storage.deleteTag('a', 't');
    expect((await storage.collectGarbage(60_000)).unreadable).toHaveLength(1);
    expect(await storage.collectGarbage(0)).toEqual({
      unlinkedBlobs: 1,
      removedBlobs: 1,
      removedBytes: bytes.byteLength,
    });
  });

  test.each([
    ['a digest in it', 60],
    ['its first line', 0],
  ])('costs no blob before it is found: %s', async (_, position) => {
    const digest = await pushTo('a', 'b');
    const manifest = manifestOf(`needs ${digest}`);
    await damage(manifestFile(rootDir, 'a', manifest.digest), position);
    expect(await storage.collectGarbage(0)).toEqual({
      ...{ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 },
      unreadable: [{ name: 'a', digest: manifest.digest }],
    });
    expect([await has('a', digest), await has('b', digest)]).toEqual([true, true]);
    const listed: Digest[] = [];
    for await (const entry of storage.listManifests('a')) listed.push(entry.digest);
    expect(listed).toEqual([manifest.digest]);
  });
});

describe('garbage collection', () => {
  test('removes what leads nowhere, when it is old enough', async () => {
    const digest = await pushTo('a');
    const subject = manifestOf('subject').digest;
    const { mediaType, bytes: text, digest: lost } = manifestOf('lost', { tags: ['lost'] });
    const facts = { mediaType, digest: lost, sizeBytes: text.byteLength };
    const referrer = { ...facts, artifactType: undefined, annotations: new Map<string, string>() };
    await storage.writeManifest('a', manifestOf('lost', { tags: ['lost'], subject, referrer }));
    // What a deletion does first, in a process that dies then.
    await rm(manifestFile(rootDir, 'a', lost));
    await storage.collectGarbage(60_000);
    await stat(tagFile(rootDir, 'a', 'lost'));
    await stat(referrerFile(rootDir, 'a', { subject, digest: lost }));
    await storage.collectGarbage(0);
    await expect(stat(tagFile(rootDir, 'a', 'lost'))).rejects.toThrow('ENOENT');
    await expect(stat(referrerFile(rootDir, 'a', { subject, digest: lost }))).rejects.toThrow('ENOENT');
    expect(await readFile(tagFile(rootDir, 'a', 't'), 'utf8')).toBe(manifestOf(`needs ${digest}`).digest);
  });

  test('removes leftovers of dead processes after its grace', async () => {
    const [young, old] = ['young', 'old'].map((name) => join(temporaryDir(rootDir), name)) as [string, string];
    await mkdir(old);
    await writeFile(join(old, 'data'), 'x');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await writeFile(young, 'x');
    await storage.collectGarbage(200);
    expect(await readdir(temporaryDir(rootDir))).toEqual(['young']);
    await storage.collectGarbage(0);
    expect(await readdir(temporaryDir(rootDir))).toEqual([]);
  });

  test('leaves a copy of a content that its repository had to itself', async () => {
    const digest = await pushTo('a');
    const copy = join(temporaryDir(rootDir), 'copy');
    await copyFile(contentFile(rootDir, digest), copy);
    await rename(copy, contentFile(rootDir, digest));
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(contentFile(rootDir, digest), longAgo, longAgo);
    expect(await storage.collectGarbage(0)).toEqual({
      unlinkedBlobs: 0,
      removedBlobs: 1,
      removedBytes: bytes.byteLength,
    });
    expect(await has('a', digest)).toBe(true);
  });
});
