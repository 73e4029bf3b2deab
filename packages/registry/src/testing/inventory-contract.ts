import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { InventoryStorage } from '../storage.ts';
import { digestOf, manifestOf, push } from './contract-steps.ts';
import type { ContractCase } from './contract-steps.ts';

/** Clocks of storages may be another machine's. */
const CLOCK_MS = 60_000;

const isNow = (timeMs: number): boolean => Math.abs(Date.now() - timeMs) < CLOCK_MS;

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const blobsOf = async (storage: InventoryStorage, name: string): Promise<ReadonlyMap<string, number>> =>
  new Map((await collect(storage.listBlobs(name))).map(({ digest, sizeBytes }) => [digest, sizeBytes]));

/** What an `InventoryStorage` promises. Whatever is damaged is damaged by a test of the storage itself. */
export const inventoryContract: readonly ContractCase[] = [
  {
    title: 'manifests are listed with type, size, subject and time, each in its repository',
    run: async ({ one, other }) => {
      const subject = digestOf(Buffer.from('subject'));
      const [plain, referring] = [manifestOf('plain', { tags: ['t', 'u'] }), manifestOf('referring')];
      const { mediaType, digest, bytes } = referring;
      const sizeBytes = bytes.byteLength;
      const referrer = {
        mediaType,
        digest,
        sizeBytes,
        artifactType: undefined,
        annotations: new Map<string, string>(),
      };
      await one.writeManifest('a', plain);
      await one.writeManifest('a', { ...referring, subject, referrer });
      await one.writeManifest('a/b', manifestOf('below'));
      const listed = new Map((await collect(other.listManifests('a'))).map((entry) => [entry.digest, entry]));
      deepEqual([...listed.keys()].sort(), [plain.digest, digest].sort());
      const found = listed.get(digest);
      ok(found !== undefined && isNow(found.pushedAtMs));
      deepEqual(
        { ...found },
        { digest, mediaType, sizeBytes, subject, pushedAtMs: found.pushedAtMs },
        'a manifest with a subject',
      );
      equal(listed.get(plain.digest)?.subject, undefined);
      equal(listed.get(plain.digest)?.sizeBytes, plain.bytes.byteLength);
      await other.deleteManifest('a', digest);
      equal((await collect(one.listManifests('a'))).length, 1);
      deepEqual(await collect(one.listManifests('nobody')), []);
    },
  },
  {
    title: 'tags are listed with what they name and when they moved',
    run: async ({ one, other }) => {
      const [first, second] = [manifestOf('1', { tags: ['old', 'moving'] }), manifestOf('2', { tags: ['moving'] })];
      await one.writeManifest('a', first);
      const before = new Map((await collect(other.listTagEntries('a'))).map((entry) => [entry.tag, entry]));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await one.writeManifest('a', second);
      const after = new Map((await collect(other.listTagEntries('a'))).map((entry) => [entry.tag, entry]));
      deepEqual([...after.keys()].sort(), ['moving', 'old']);
      equal(after.get('old')?.digest, first.digest);
      equal(after.get('moving')?.digest, second.digest);
      ok(isNow(after.get('moving')?.updatedAtMs ?? 0));
      ok((after.get('moving')?.updatedAtMs ?? 0) >= (before.get('moving')?.updatedAtMs ?? Infinity));
      deepEqual(after.get('old'), before.get('old'));
      await one.deleteTag('a', 'old');
      deepEqual(
        (await collect(one.listTagEntries('a'))).map(({ tag }) => tag),
        ['moving'],
      );
      deepEqual(await collect(one.listTagEntries('nobody')), []);
    },
  },
  {
    title: 'a pushed again manifest and tag count as new',
    run: async ({ one, other }) => {
      await one.writeManifest('a', manifestOf('x', { tags: ['t'] }));
      const times = async (): Promise<readonly number[]> => [
        ...(await collect(other.listManifests('a'))).map(({ pushedAtMs }) => pushedAtMs),
        ...(await collect(other.listTagEntries('a'))).map(({ updatedAtMs }) => updatedAtMs),
      ];
      const before = await times();
      // Some storages keep whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      await other.writeManifest('a', manifestOf('x', { tags: ['t'] }));
      const after = await times();
      equal(after.length, 2);
      ok(after.every((timeMs, at) => timeMs > (before[at] ?? Infinity)));
    },
  },
  {
    title: 'blobs are listed for the repositories that have them, contents once',
    run: async ({ one, other }) => {
      const [shared, own] = [await push(one, 'a', randomBytes(100)), await push(one, 'a/b', randomBytes(200))];
      await one.mountBlob('a/b', shared, { from: ['a'] });
      deepEqual(await blobsOf(other, 'a'), new Map([[shared, 100]]));
      deepEqual([...(await blobsOf(other, 'a/b'))].sort(), [[shared, 100] as const, [own, 200] as const].sort());
      deepEqual(await blobsOf(other, 'nobody'), new Map());
      const contents = await collect(other.listContents());
      deepEqual(contents.map(({ digest, sizeBytes }) => [digest, sizeBytes]).sort(), [
        ...[[shared, 100] as const, [own, 200] as const].sort(),
      ]);
      await one.deleteBlob('a/b', own);
      deepEqual(await blobsOf(other, 'a/b'), new Map([[shared, 100]]));
      await one.collectGarbage(0);
      deepEqual(await blobsOf(other, 'a'), new Map());
      deepEqual(await collect(other.listContents()), []);
    },
  },
  {
    title: 'an intact content is intact, at whatever speed, and stays where it is; one that is not there is gone',
    run: async ({ one, other }) => {
      const [digest, empty] = [await push(one, 'a', randomBytes(300_000)), await push(one, 'a', Buffer.alloc(0))];
      equal(await other.verifyContent(digest), 'intact');
      equal(await other.verifyContent(digest, { bytesPerSecond: 10_000_000 }), 'intact');
      equal(await other.verifyContent(empty), 'intact');
      deepEqual(await one.statBlob('a', digest), { sizeBytes: 300_000 });
      equal(await other.verifyContent(digestOf(Buffer.from('nowhere'))), 'gone');
      const aborted = one.verifyContent(digest, { signal: AbortSignal.abort(new Error('enough')) });
      ok((await Promise.allSettled([aborted]))[0].status === 'rejected');
      await one.statBlob('a', digest);
    },
  },
  {
    title: 'an intact manifest is intact, and one that is not there is gone',
    run: async ({ one, other }) => {
      const manifest = manifestOf('x', { tags: ['t'] });
      await one.writeManifest('a', manifest);
      equal(await other.verifyManifest('a', manifest.digest), 'intact');
      equal(await other.verifyManifest('b', manifest.digest), 'gone');
      equal(await other.verifyManifest('a', digestOf(Buffer.from('nowhere'))), 'gone');
      equal(await one.resolveTag('a', 't'), manifest.digest);
    },
  },
  {
    title: 'a list goes on while others push and delete',
    run: async ({ one, other }) => {
      for (let at = 0; at < 30; at++)
        await one.writeManifest('a', manifestOf(String(at), { tags: [`t${String(at)}`] }));
      const kept = manifestOf('29').digest;
      let listed = 0;
      for await (const { digest } of other.listManifests('a')) {
        listed += digest === kept ? 1 : 0;
        if (digest !== kept) await one.deleteManifest('a', digest);
        await one.writeManifest('b', manifestOf(digest));
      }
      equal(listed, 1);
      deepEqual(
        (await collect(other.listTagEntries('a'))).filter(({ digest }) => digest === kept).map(({ tag }) => tag),
        ['t29'],
      );
    },
  },
];
