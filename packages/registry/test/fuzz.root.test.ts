import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { describeRoot, testDir } from '../../../test/root.ts';
import { openFileSystemStorage } from '../src/index.ts';
import { expectOnlyRoot, expectSound, FUZZ_LIMITS, SECRET } from './fuzz-check.ts';
import { fuzz } from './fuzz.ts';
import { startHostileTarget } from './hostile-registry.ts';
import { expectNoOrphans, expectWhole } from './store-check.ts';

const SEED = 20_260_101;
const COUNT = 20_000;
/** A heap grows by some 60 MB until 40,000 requests, and not any more until 100,000. */
const GROWTH_BYTES = 128 * 1024 * 1024;

describeRoot('a registry that gets requests nobody should send', () => {
  test('answers all of them well, keeps to its root and its memory, and has a whole and clean store in the end', async () => {
    await using dir = await mkdtempDisposable(join(testDir, 'fuzz-'));
    const outsideDir = join(dir.path, 'outside');
    const rootDir = join(outsideDir, 'root');
    await using target = await startHostileTarget({ rootDir, cacheDir: join(dir.path, 'cache'), limits: FUZZ_LIMITS });
    await writeFile(join(outsideDir, 'canary'), SECRET);
    const descriptors = await target.descriptors();
    const { findings, statuses, memoryBytes } = await fuzz({ target, seed: SEED, count: COUNT, secret: SECRET });
    expect(findings).toEqual([]);
    expect(target.exit()).toBeUndefined();
    // It isn't only turned away at the door.
    expect(Object.keys(statuses)).toEqual(
      expect.arrayContaining([
        '200',
        '201',
        '202',
        '204',
        '206',
        '304',
        '400',
        '404',
        '405',
        '408',
        '412',
        '413',
        '414',
        '416',
      ]),
    );
    expect((memoryBytes.at(-1) ?? Infinity) - (memoryBytes[3] ?? 0)).toBeLessThan(GROWTH_BYTES);
    expect((await target.descriptors()) - descriptors).toBeLessThan(10);
    await expectOnlyRoot(outsideDir);
    await expectSound(target, rootDir);
    await using storage = await openFileSystemStorage(rootDir);
    await expectWhole(storage);
    await expectNoOrphans(storage, rootDir);
  }, 300_000);
});
