import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { storageContract } from '../testing/storage-contract.ts';
import type { Digest } from '../names.ts';
import type { RegistryStorage } from '../storage.ts';
import { openFileSystemStorage } from './storage.ts';

let rootDir: string;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
});
afterEach(() => rm(rootDir, { recursive: true }));

describe('the contract of storages, kept by the file system', () => {
  test.each(storageContract)('$title', async ({ run }) => {
    await run({ one: await openFileSystemStorage(rootDir), other: await openFileSystemStorage(rootDir) });
    expect(await readdir(join(rootDir, 'temporary'))).toEqual([]);
  });
});

const digestOf = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const bodyOf = (text: string): ReadableStream<Uint8Array> => new Blob([text]).stream();

async function push(storage: RegistryStorage, name: string, text: string): Promise<Digest> {
  const upload = { name, id: await storage.startUpload(name, 'sha256') };
  await storage.appendUpload(upload, { offset: 0, body: bodyOf(text) });
  await storage.finishUpload(upload, digestOf(text));
  return digestOf(text);
}

describe('what only the file system storage has', () => {
  test('a directory that can not be made is said at once', async () => {
    await expect(openFileSystemStorage('/proc/registry')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('an upload is taken over from a writer that fell silent, and that one can do no harm when it wakes up', async () => {
    const [asleep, awake] = [
      await openFileSystemStorage(rootDir),
      await openFileSystemStorage(rootDir, { takeoverMs: 50 }),
    ];
    const upload = { name: 'a', id: await asleep.startUpload('a', 'sha256') };
    const wake = Promise.withResolvers<undefined>();
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('before ');
      await wake.promise;
      yield Buffer.from('nonsense that nobody wants');
    };
    const sleeper = asleep.appendUpload(upload, { offset: 0, body: body() });
    while ((await awake.uploadedBytes(upload)) < 7) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(await awake.appendUpload(upload, { offset: 7, body: bodyOf('after') })).toBe(12);
    wake.resolve(undefined);
    await sleeper;
    expect(await asleep.uploadedBytes(upload)).toBe(12);
    await asleep.finishUpload(upload, digestOf('before after'));
  });

  test('a blob that a collection has set aside comes back for who asks for it', async () => {
    const storage = await openFileSystemStorage(rootDir);
    const digest = await push(storage, 'a', 'needed');
    const repository = join(rootDir, 'repositories', 'a');
    await rename(join(repository, '_blobs', 'sha256'), join(repository, '_swept'));
    const hex = digest.slice('sha256:'.length);
    await rename(join(repository, '_swept', hex), join(repository, '_swept', `sha256-${hex}`));
    await expect(storage.openBlob('a', digest)).rejects.toThrow('blob unknown');
    await expect(storage.statBlob('a', digest)).rejects.toThrow('blob unknown');
    await push(storage, 'a', 'another');
    expect(await storage.statBlob('a', digest)).toEqual({ sizeBytes: 6 });
  });

  test('what was asked for lately is not collected, what was asked for long ago is', async () => {
    const storage = await openFileSystemStorage(rootDir);
    const digest = await push(storage, 'a', 'old');
    const path = join(rootDir, 'repositories', 'a', '_blobs', 'sha256', digest.slice('sha256:'.length));
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(path, longAgo, longAgo);
    await storage.statBlob('a', digest);
    expect((await storage.collectGarbage(60_000)).unlinkedBlobs).toBe(0);
    await utimes(path, longAgo, longAgo);
    // Its content stays: the change of its last name is younger than the grace period.
    expect(await storage.collectGarbage(60_000)).toEqual({ unlinkedBlobs: 1, removedBlobs: 0, removedBytes: 0 });
    expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 0, removedBlobs: 1, removedBytes: 3 });
  });

  test('a layout of another version is refused', async () => {
    await writeFile(join(rootDir, 'registry.json'), '{"version":2}');
    await expect(openFileSystemStorage(rootDir)).rejects.toThrow('its layout is of version 2');
  });
});
