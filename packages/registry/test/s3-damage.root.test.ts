import { randomBytes } from 'node:crypto';

import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import type { Digest, RegistryStorage } from '../src/index.ts';
import { openS3Storage } from '../src/s3.ts';
import type { S3StorageOptions } from '../src/s3.ts';
import { bodyOf, digestOf, manifestOf, push, readAll } from '../src/testing/contract-steps.ts';
import { startS3Server } from './s3-server.ts';
import type { S3Server } from './s3-server.ts';

const hexOf = (digest: Digest): string => digest.slice('sha256:'.length);

describeRoot('a bucket that somebody died over, or damaged', () => {
  let server: S3Server;
  let bucket: S3StorageOptions;
  beforeAll(async () => {
    server = await startS3Server();
  }, 120_000);
  beforeEach(async () => {
    bucket = await server.createBucket();
    server.client.destroy();
  });
  afterAll(() => server.stop());

  /** With a storage of its own, and nothing left open. */
  const withStorage = async (act: (storage: RegistryStorage) => Promise<void>): Promise<void> => {
    await using storage = await openS3Storage(bucket);
    await act(storage);
    server.client.destroy();
  };
  const keys = async (prefix: string): Promise<readonly string[]> => {
    const page = await server.client.send(new ListObjectsV2Command({ Bucket: bucket.bucket, Prefix: prefix }));
    return (page.Contents ?? []).map(({ Key = '' }) => Key);
  };
  const put = (key: string, bytes: Uint8Array): Promise<unknown> =>
    server.client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key: key, Body: bytes }));

  test('a corrupt content is taken from all, set aside, and can be pushed again', () =>
    withStorage(async (storage) => {
      const bytes = randomBytes(1000);
      const digest = await push(storage, 'a', bytes);
      await storage.mountBlob('b', digest, { from: ['a'] });
      const [content = ''] = await keys('contents/');
      await put(content, randomBytes(1000));
      expect(await storage.verifyContent(digest)).toBe('corrupt');
      for (const name of ['a', 'b']) await expect(storage.statBlob(name, digest)).rejects.toThrow('blob unknown');
      expect(await storage.verifyContent(digest)).toBe('gone');
      await push(storage, 'a', bytes);
      expect(await readAll(storage, 'a', digest)).toEqual(bytes);
      expect(await storage.verifyContent(digest)).toBe('intact');
      await storage.writeManifest('a', manifestOf(`needs ${digest}`));
      await storage.collectGarbage(0);
      expect(await keys('contents/')).toContain(content);
    }));

  test('a damaged manifest keeps the blobs of its repository until it is pushed again', () =>
    withStorage(async (storage) => {
      const digest = await push(storage, 'a', randomBytes(10));
      const manifest = manifestOf(`needs ${digest}`, { tags: ['t'] });
      await storage.writeManifest('a', manifest);
      await put(`manifests/a!sha256/${hexOf(manifest.digest)}`, Buffer.from('{"text":"needs nothing"}'));
      const unreadable = [{ name: 'a', digest: manifest.digest }];
      expect(await storage.collectGarbage(0)).toMatchObject({ unlinkedBlobs: 0, unreadable });
      expect(await storage.verifyManifest('a', manifest.digest)).toBe('corrupt');
      await expect(storage.readManifest('a', manifest.digest)).rejects.toThrow('manifest unknown');
      expect(await storage.collectGarbage(0)).toMatchObject({ unlinkedBlobs: 0, unreadable });
      await storage.writeManifest('a', manifest);
      expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 });
      expect(await storage.resolveTag('a', 't')).toBe(manifest.digest);
      await storage.statBlob('a', digest);
    }));

  test('a blob that a collection had marked when it died stays for who asks for it, and goes when nobody does', () =>
    withStorage(async (storage) => {
      const [asked, other] = [await push(storage, 'a', randomBytes(10)), await push(storage, 'a', randomBytes(20))];
      for (const key of await keys('blobs/')) await put(key.replace('!r.', '!s.'), Buffer.alloc(0));
      await (await storage.openBlob('a', other)).close();
      await storage.statBlob('a', asked);
      await storage.writeManifest('a', manifestOf(`needs ${asked}`));
      expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 1, removedBlobs: 1, removedBytes: 20 });
      expect((await keys('blobs/')).filter((key) => key.includes('!r.')).length).toBe(1);
      expect((await keys('blobs/')).filter((key) => key.includes('!s.'))).toEqual([]);
      expect((await keys('links/')).length).toBe(1);
      await storage.statBlob('a', asked);
    }));

  test('a content that a collection had condemned when it died is referred to by nobody else', () =>
    withStorage(async (storage) => {
      const bytes = randomBytes(100);
      const digest = await push(storage, 'a', bytes);
      const [content = ''] = await keys('contents/');
      await put(content.replace('contents/', 'condemned/'), Buffer.alloc(0));
      expect(await storage.mountBlob('b', digest, { from: ['a'] })).toBe(false);
      await push(storage, 'b', bytes);
      expect((await keys('contents/')).length).toBe(2);
      await storage.deleteBlob('a', digest);
      expect(await storage.collectGarbage(0)).toMatchObject({ unlinkedBlobs: 1, removedBlobs: 2 });
      for (const prefix of ['contents/', 'condemned/', 'blobs/', 'links/']) expect(await keys(prefix)).toEqual([]);
    }));

  test('what a killed process had begun is forgotten with its upload', () =>
    withStorage(async (storage) => {
      const id = await storage.startUpload('a', 'sha256');
      const [begin, list] = [CreateMultipartUploadCommand, ListMultipartUploadsCommand];
      for (const upload of [id, 'sha256-of-nobody']) {
        await server.client.send(new begin({ Bucket: bucket.bucket, Key: `contents/${upload}.piece` }));
      }
      await put('contents/sha256-of-nobody.whole', randomBytes(10));
      const pending = async (): Promise<number> =>
        ((await server.client.send(new list({ Bucket: bucket.bucket }))).Uploads ?? []).length;
      expect(await storage.removeStaleUploads(60_000)).toBe(0);
      expect(await pending()).toBe(1);
      expect(await storage.removeStaleUploads(0)).toBe(1);
      expect(await pending()).toBe(0);
      expect(await storage.collectGarbage(0)).toEqual({ unlinkedBlobs: 0, removedBlobs: 1, removedBytes: 10 });
      expect(await keys('uploads/')).toEqual([]);
    }));

  test('an upload that two processes end at once becomes a blob once, and its pieces are left by nobody', () =>
    withStorage(async (storage) => {
      await using second = await openS3Storage({ ...bucket, takeoverMs: 50 });
      const bytes = [randomBytes(1000), randomBytes(2000)];
      const digest = digestOf(Buffer.concat(bytes));
      const upload = { name: 'a', id: await storage.startUpload('a', 'sha256') };
      for (const chunk of bytes) {
        await storage.appendUpload(upload, { offset: undefined, body: bodyOf(chunk) });
      }
      const ends = await Promise.allSettled(
        [storage, second, storage, second].map((one) => one.finishUpload(upload, digest)),
      );
      expect(ends.some(({ status }) => status === 'fulfilled')).toBe(true);
      expect(await readAll(storage, 'a', digest)).toEqual(Buffer.concat(bytes));
      await storage.writeManifest('a', manifestOf(`needs ${digest}`));
      await storage.removeStaleUploads(0);
      await storage.collectGarbage(0);
      expect(await readAll(second, 'a', digest)).toEqual(Buffer.concat(bytes));
      expect((await keys('contents/')).length).toBe(1);
    }));

  test('registries below two prefixes do not see each other', () =>
    withStorage(async (storage) => {
      await using inside = await openS3Storage({ ...bucket, prefix: 'inside' });
      await inside.writeManifest('a', manifestOf('x', { tags: ['t'] }));
      const digest = await push(inside, 'a', randomBytes(10));
      expect((await storage.listRepositories({ limit: undefined, after: undefined })).entries).toEqual([]);
      expect((await inside.listRepositories({ limit: undefined, after: undefined })).entries).toEqual(['a']);
      await storage.collectGarbage(0);
      await inside.statBlob('a', digest);
    }));

  test('what cannot be opened is refused with the reason', async () => {
    await expect(openS3Storage({ ...bucket, bucket: 'nowhere' })).rejects.toThrow(/bucket nowhere: NoSuchBucket/);
    const credentials = { accessKeyId: 'test-key', secretAccessKey: 'wrong' };
    await expect(openS3Storage({ ...bucket, credentials })).rejects.toThrow(/SignatureDoesNotMatch/);
    await expect(openS3Storage({ ...bucket, partBytes: 1000 })).rejects.toThrow(/a part has at least 5242880/);
    await put('registry.json', Buffer.from('{"version":2}'));
    await expect(openS3Storage(bucket)).rejects.toThrow('its layout is of version 2');
    server.client.destroy();
  });
});
