import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { RegistryStorage } from '../storage.ts';
import { manifestOf, push } from '../testing/contract-steps.ts';
import { scheduleMaintenance } from './schedule.ts';
import type { MaintenanceReport } from './schedule.ts';

let rootDir: string;
let storage: RegistryStorage;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
});
afterEach(() => rm(rootDir, { recursive: true }));

test('every job comes again and again, in two processes at once, and each says what it did', async () => {
  await storage.startUpload('a', 'sha256');
  await storage.writeManifest('a', manifestOf('x', { tags: ['old'] }));
  const digest = await push(storage, 'a', Buffer.from('garbage'));
  const reports: MaintenanceReport[] = [];
  const enough = Promise.withResolvers<undefined>();
  const options = {
    uploads: { maxAgeMs: 0, everyMs: 5 },
    retention: { everyMs: 5, rules: [{ repositories: ['**'], keepNewest: 0 }] },
    garbage: { everyMs: 5, graceMs: 0 },
    scrub: { everyMs: 5 },
    onReport: (report: MaintenanceReport) => {
      reports.push(report);
      const count = (job: string): number => reports.filter((other) => other.job === job).length;
      if (['uploads', 'retention', 'garbage', 'scrub'].every((job) => count(job) > 3)) enough.resolve(undefined);
    },
    onFailure: (failure: unknown) => enough.reject(failure),
  };
  // Timers that keep no process alive don't keep this test either.
  const alive = setInterval(() => undefined, 1000);
  {
    await using _one = scheduleMaintenance({ ...options, storage });
    await using _other = scheduleMaintenance({ ...options, storage: await openFileSystemStorage(rootDir) });
    await enough.promise;
  }
  clearInterval(alive);
  const before = reports.length;
  const sum = (of: (report: MaintenanceReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  expect(sum((report) => (report.job === 'uploads' ? report.removedUploads : 0))).toBe(1);
  expect(sum((report) => (report.job === 'garbage' ? report.report.removedBlobs : 0))).toBe(1);
  expect(sum((report) => (report.job === 'retention' ? report.report.repositories.length : 0))).toBeGreaterThan(0);
  await expect(storage.statBlob('a', digest)).rejects.toThrow('blob unknown');
  await expect(storage.resolveTag('a', 'old')).rejects.toThrow('manifest unknown');
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(reports).toHaveLength(before);
});

test('one job at a time, a failure is told and does not end it, and the end breaks off what goes on', async () => {
  let running = 0;
  let most = 0;
  let broken = false;
  const failures: string[] = [];
  const slow: RegistryStorage = {
    ...storage,
    removeStaleUploads: () => Promise.reject(new Error('no disk')),
    collectGarbage: async (_, { signal } = {}) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running -= 1;
      if (failures.length > 2) {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        broken = true;
        signal?.throwIfAborted();
      }
      return { unlinkedBlobs: 0, removedBlobs: 0, removedBytes: 0 };
    },
    listContents: async function* () {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running -= 1;
      yield* [];
    },
  };
  {
    await using _jobs = scheduleMaintenance({
      storage: slow,
      uploads: { maxAgeMs: 0, everyMs: 1 },
      garbage: { everyMs: 1, graceMs: 0 },
      scrub: { everyMs: 1 },
      onFailure: (failure, job) => failures.push(`${job}: ${String(failure)}`),
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(most).toBe(1);
  expect(broken).toBe(true);
  expect(new Set(failures)).toEqual(new Set(['uploads: Error: no disk']));
  expect(failures.length).toBeGreaterThan(2);
});
