import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { bodyOf, brokenBody, digestOf, manifestOf, push, readAll, refuses, until } from './contract-steps.ts';
import type { ContractCase } from './contract-steps.ts';
import { immutableTagContract } from './immutable-contract.ts';
import { inventoryContract } from './inventory-contract.ts';

const uploads: readonly ContractCase[] = [
  {
    title: 'a blob is read as it was written, in several chunks, from another process',
    run: async ({ one, other }) => {
      const bytes = randomBytes(300_000);
      const upload = { name: 'a/b', id: await one.startUpload('a/b', 'sha256') };
      equal(await one.appendUpload(upload, { offset: 0, body: bodyOf(bytes.subarray(0, 1000)) }), 1000);
      equal(await other.uploadedBytes(upload), 1000);
      equal(await other.appendUpload(upload, { offset: 1000, body: bodyOf(bytes.subarray(1000, 2000)) }), 2000);
      const rest = bodyOf(bytes.subarray(2000, 2001), bytes.subarray(2001));
      equal(await one.appendUpload(upload, { offset: undefined, body: rest }), 300_000);
      deepEqual(await other.finishUpload(upload, digestOf(bytes)), { sizeBytes: 300_000 });
      deepEqual(await readAll(one, 'a/b', digestOf(bytes)), bytes);
      await refuses(one.uploadedBytes(upload), 'BLOB_UPLOAD_UNKNOWN');
    },
  },
  {
    title: 'sha512, and a digest of another algorithm than the upload was begun with',
    run: async ({ one, other }) => {
      const bytes = randomBytes(1000);
      const digest = digestOf(bytes, 'sha512');
      const long = await one.startUpload('a', 'sha512');
      await one.appendUpload({ name: 'a', id: long }, { offset: 0, body: bodyOf(bytes) });
      await one.finishUpload({ name: 'a', id: long }, digest);
      deepEqual(await readAll(other, 'a', digest), bytes);
      const id = await one.startUpload('a', 'sha256');
      await one.appendUpload({ name: 'a', id }, { offset: 0, body: bodyOf(Buffer.from('x')) });
      await one.finishUpload({ name: 'a', id }, digestOf(Buffer.from('x'), 'sha512'));
    },
  },
  {
    title: 'an empty blob',
    run: async ({ one }) => {
      const digest = await push(one, 'a', Buffer.alloc(0));
      deepEqual(await one.statBlob('a', digest), { sizeBytes: 0 });
      const id = await one.startUpload('b', 'sha256');
      await one.finishUpload({ name: 'b', id }, digest);
      await (await one.openBlob('b', digest)).close();
    },
  },
  {
    title: 'a range',
    run: async ({ one }) => {
      const digest = await push(one, 'a', Buffer.from('0123456789'));
      const blob = await one.openBlob('a', digest);
      const chunks: Buffer[] = [];
      for await (const chunk of blob.stream({ first: 3, last: 5 })) chunks.push(chunk as Buffer);
      equal(Buffer.concat(chunks).toString(), '345');
    },
  },
  {
    title: 'another digest is refused, and the upload forgotten',
    run: async ({ one, other }) => {
      const upload = { name: 'a', id: await one.startUpload('a', 'sha256') };
      await one.appendUpload(upload, { offset: 0, body: bodyOf(Buffer.from('right')) });
      const wrong = digestOf(Buffer.from('wrong'));
      await refuses(one.finishUpload(upload, wrong), 'DIGEST_INVALID');
      await refuses(other.statBlob('a', wrong), 'BLOB_UNKNOWN');
      await refuses(other.finishUpload(upload, wrong), 'BLOB_UPLOAD_UNKNOWN');
    },
  },
  {
    title: 'a chunk goes where the upload ends, and nowhere else',
    run: async ({ one, other }) => {
      const upload = { name: 'a', id: await one.startUpload('a', 'sha256') };
      await one.appendUpload(upload, { offset: 0, body: bodyOf(Buffer.from('12345')) });
      for (const offset of [0, 4, 6]) {
        const chunk = { offset, body: bodyOf(Buffer.from('x')) };
        await refuses(other.appendUpload(upload, chunk), 'BLOB_UPLOAD_INVALID', 416);
      }
      equal(await one.uploadedBytes(upload), 5);
    },
  },
  {
    title: 'of two writers at once one loses, and what the other wrote is whole',
    run: async ({ one }) => {
      const upload = { name: 'a', id: await one.startUpload('a', 'sha256') };
      const gate = Promise.withResolvers<undefined>();
      const slow = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.from('slow ');
        await gate.promise;
        yield Buffer.from('writer');
      };
      const first = one.appendUpload(upload, { offset: 0, body: slow() });
      await until(async () => (await one.uploadedBytes(upload)) === 5);
      const second = { offset: 5, body: bodyOf(Buffer.from('x')) };
      await refuses(one.appendUpload(upload, second), 'BLOB_UPLOAD_INVALID', 416);
      gate.resolve(undefined);
      equal(await first, 11);
      await one.finishUpload(upload, digestOf(Buffer.from('slow writer')));
    },
  },
  {
    title: 'what arrived before a body broke off is kept, and continued',
    run: async ({ one, other }) => {
      const upload = { name: 'a', id: await one.startUpload('a', 'sha256') };
      await rejects(one.appendUpload(upload, { offset: 0, body: brokenBody(Buffer.from('first ')) }), /went away/);
      equal(await other.uploadedBytes(upload), 6);
      await one.appendUpload(upload, { offset: 6, body: bodyOf(Buffer.from('second')) });
      await other.finishUpload(upload, digestOf(Buffer.from('first second')));
    },
  },
  {
    title: 'an upload belongs to its repository, and is gone when it is cancelled',
    run: async ({ one, other }) => {
      const id = await one.startUpload('a', 'sha256');
      await refuses(one.uploadedBytes({ name: 'b', id }), 'BLOB_UPLOAD_UNKNOWN');
      await refuses(one.cancelUpload({ name: 'b', id }), 'BLOB_UPLOAD_UNKNOWN');
      await other.cancelUpload({ name: 'a', id });
      await refuses(one.uploadedBytes({ name: 'a', id }), 'BLOB_UPLOAD_UNKNOWN');
      const chunk = { offset: 0, body: bodyOf(Buffer.from('x')) };
      await refuses(one.appendUpload({ name: 'a', id }, chunk), 'BLOB_UPLOAD_UNKNOWN');
    },
  },
  {
    title: 'stale uploads are forgotten, others stay',
    run: async ({ one }) => {
      const upload = { name: 'a', id: await one.startUpload('a', 'sha256') };
      equal(await one.removeStaleUploads(60_000), 0);
      equal(await one.uploadedBytes(upload), 0);
      ok((await one.removeStaleUploads(0)) >= 1);
      await refuses(one.uploadedBytes(upload), 'BLOB_UPLOAD_UNKNOWN');
    },
  },
];

const blobs: readonly ContractCase[] = [
  {
    title: 'a repository does not have what another one has, until it is mounted',
    run: async ({ one, other }) => {
      const bytes = randomBytes(100);
      const digest = await push(one, 'private', bytes);
      await refuses(one.statBlob('b', digest), 'BLOB_UNKNOWN');
      await refuses(one.openBlob('b', digest), 'BLOB_UNKNOWN');
      equal(await one.mountBlob('b', digest, { from: ['c'] }), false);
      equal(await other.mountBlob('b', digest, { from: ['c', 'private'] }), true);
      deepEqual(await readAll(one, 'b', digest), bytes);
      equal(await one.mountBlob('d', digest, { from: undefined }), true);
      equal(await one.mountBlob('d', digestOf(randomBytes(9)), { from: undefined }), false);
    },
  },
  {
    title: 'a deleted blob is gone from its repository only, also for those who mount',
    run: async ({ one, other }) => {
      const bytes = randomBytes(100);
      const digest = await push(one, 'a', bytes);
      await push(one, 'b', bytes);
      await other.deleteBlob('a', digest);
      await refuses(one.statBlob('a', digest), 'BLOB_UNKNOWN');
      await refuses(one.deleteBlob('a', digest), 'BLOB_UNKNOWN');
      equal(await one.mountBlob('c', digest, { from: ['a'] }), false);
      deepEqual(await readAll(one, 'b', digest), bytes);
      await one.deleteBlob('b', digest);
      equal(await one.mountBlob('c', digest, { from: undefined }), false);
    },
  },
  {
    title: 'a blob that is held open is read to its end, deleted or not',
    run: async ({ one }) => {
      const digest = await push(one, 'a', Buffer.from('still here'));
      const blob = await one.openBlob('a', digest);
      await one.deleteBlob('a', digest);
      await one.collectGarbage(0);
      const chunks: Buffer[] = [];
      for await (const chunk of blob.stream()) chunks.push(chunk as Buffer);
      equal(Buffer.concat(chunks).toString(), 'still here');
    },
  },
  {
    title: 'the same blob pushed twenty times at once',
    run: async ({ one, other }) => {
      const bytes = randomBytes(5000);
      await Promise.all(Array.from({ length: 20 }, (_, at) => push(at % 2 === 0 ? one : other, `r${at % 3}`, bytes)));
      for (const name of ['r0', 'r1', 'r2']) deepEqual(await readAll(one, name, digestOf(bytes)), bytes);
    },
  },
];

const manifests: readonly ContractCase[] = [
  {
    title: 'a manifest is read byte by byte with its media type, by digest and by tag',
    run: async ({ one, other }) => {
      const manifest = manifestOf('one', { tags: ['v1', 'latest'] });
      await one.writeManifest('a', manifest);
      await other.writeManifest('a', manifest);
      const { mediaType, bytes } = await other.readManifest('a', manifest.digest);
      equal(mediaType, manifest.mediaType);
      deepEqual(Buffer.from(bytes), Buffer.from(manifest.bytes));
      deepEqual(await one.statManifest('a', manifest.digest), { mediaType, sizeBytes: bytes.byteLength });
      equal(await other.resolveTag('a', 'latest'), manifest.digest);
      await refuses(one.readManifest('b', manifest.digest), 'MANIFEST_UNKNOWN');
      await refuses(one.resolveTag('a', 'v2'), 'MANIFEST_UNKNOWN');
    },
  },
  {
    title: 'a tag moves',
    run: async ({ one, other }) => {
      const [first, second] = [manifestOf('1', { tags: ['t'] }), manifestOf('2', { tags: ['t'] })];
      await one.writeManifest('a', first);
      await other.writeManifest('a', second);
      equal(await one.resolveTag('a', 't'), second.digest);
      await one.readManifest('a', first.digest);
    },
  },
  {
    title: 'a deleted tag leaves the manifest; a deleted manifest takes its tags along',
    run: async ({ one, other }) => {
      const manifest = manifestOf('x', { tags: ['a', 'b', 'c'] });
      await one.writeManifest('r', manifest);
      await one.writeManifest('r', manifestOf('y', { tags: ['d'] }));
      await other.deleteTag('r', 'a');
      await refuses(one.deleteTag('r', 'a'), 'MANIFEST_UNKNOWN');
      await one.readManifest('r', manifest.digest);
      await other.deleteManifest('r', manifest.digest);
      await refuses(one.readManifest('r', manifest.digest), 'MANIFEST_UNKNOWN');
      await refuses(one.deleteManifest('r', manifest.digest), 'MANIFEST_UNKNOWN');
      deepEqual(await one.listTags('r', { limit: undefined, after: undefined }), { entries: ['d'], next: undefined });
    },
  },
  {
    title: 'referrers come and go with their manifests',
    run: async ({ one, other }) => {
      const subject = digestOf(Buffer.from('not there yet'));
      deepEqual(await one.listReferrers('a', subject), []);
      const { bytes, mediaType, digest } = manifestOf('sbom');
      const annotations = new Map([['k', 'v']]);
      const referrer = { mediaType, digest, sizeBytes: bytes.byteLength, artifactType: 'text/x', annotations };
      await one.writeManifest('a', manifestOf('sbom', { subject, referrer }));
      deepEqual(await other.listReferrers('a', subject), [referrer]);
      deepEqual(await other.listReferrers('b', subject), []);
      await other.deleteManifest('a', digest);
      deepEqual(await one.listReferrers('a', subject), []);
    },
  },
];

const lists: readonly ContractCase[] = [
  {
    title: 'tags in byte order, page by page',
    run: async ({ one }) => {
      await one.writeManifest('a', manifestOf('x', { tags: ['b', 'a', 'B', '10', '9', '_'] }));
      const all = ['10', '9', 'B', '_', 'a', 'b'];
      deepEqual((await one.listTags('a', { limit: undefined, after: undefined })).entries, all);
      deepEqual(await one.listTags('a', { limit: 2, after: '9' }), { entries: ['B', '_'], next: '_' });
      deepEqual(await one.listTags('a', { limit: 2, after: '_' }), { entries: ['a', 'b'], next: undefined });
      deepEqual(await one.listTags('a', { limit: 0, after: undefined }), { entries: [], next: undefined });
      await refuses(one.listTags('nobody', { limit: undefined, after: undefined }), 'NAME_UNKNOWN');
    },
  },
  {
    title: 'repositories that have a manifest, in byte order, page by page',
    run: async ({ one }) => {
      const names = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a0', 'b/c'];
      for (const name of names.toReversed()) await one.writeManifest(name, manifestOf('x'));
      await push(one, 'blobs-only', Buffer.from('x'));
      const listed: string[] = [];
      for (let after: string | undefined; ;) {
        const { entries, next } = await one.listRepositories({ limit: 2, after });
        listed.push(...entries);
        if (next === undefined || listed.length > names.length) break;
        after = next;
      }
      deepEqual(listed, names);
      await one.deleteManifest('a/b', manifestOf('x').digest);
      ok(!(await one.listRepositories({ limit: undefined, after: undefined })).entries.includes('a/b'));
    },
  },
];

const garbage: readonly ContractCase[] = [
  {
    title: 'garbage is what no manifest of a repository needs, and then no repository has',
    run: async ({ one }) => {
      const [kept, lost] = [await push(one, 'a', randomBytes(10)), await push(one, 'a', randomBytes(20))];
      await one.mountBlob('b', kept, { from: ['a'] });
      await one.writeManifest('a', manifestOf(`needs ${kept}`));
      deepEqual(await one.collectGarbage(60_000), { unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 });
      deepEqual(await one.collectGarbage(0), { unlinkedBlobs: 2, removedBlobs: 1, removedBytes: 20 });
      await one.statBlob('a', kept);
      await refuses(one.statBlob('b', kept), 'BLOB_UNKNOWN');
      await refuses(one.statBlob('a', lost), 'BLOB_UNKNOWN');
    },
  },
  {
    title: 'a blob that was asked for stays for the grace period',
    run: async ({ one, other }) => {
      const digest = await push(one, 'a', randomBytes(10));
      await other.statBlob('a', digest);
      await one.collectGarbage(60_000);
      await one.statBlob('a', digest);
    },
  },
];

/** What every {@link RegistryStorage} promises. Each case wants a storage of its own, empty. */
export const storageContract: readonly ContractCase[] = [
  ...uploads,
  ...blobs,
  ...manifests,
  ...lists,
  ...garbage,
  ...immutableTagContract,
  ...inventoryContract,
];
