import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { storageContract } from '../testing/storage-contract.ts';
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
