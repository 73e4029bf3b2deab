import { mkdtempDisposable } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { describeRoot, testDir } from '../../../test/root.ts';
import { openFileSystemStorage } from '../src/index.ts';
import { endure } from './endurance.ts';
import type { EnduranceOptions } from './endurance.ts';
import { expectFacts, expectNoOrphans, expectWhole } from './store-check.ts';

/** More kills (200), and more time between the ten (300 s), are for by hand: they take minutes. */
const kills = Number(process.env['ENDURANCE_KILLS'] ?? 50);
const seconds = Number(process.env['ENDURANCE_SECONDS'] ?? 10);

/** Runs clients against a registry that is killed, and looks for everything that it has acknowledged. */
async function expectToEndure(options: Omit<EnduranceOptions, 'dir'>): Promise<void> {
  await using dir = await mkdtempDisposable(join(testDir, 'endurance-'));
  const { acknowledged, failures } = await endure({ dir: dir.path, ...options });
  expect(failures).toEqual([]);
  const rootDir = join(dir.path, 'root');
  await using storage = await openFileSystemStorage(rootDir);
  const facts = acknowledged.flatMap(({ name, manifest, blobs }) => [
    { type: 'manifest' as const, name, digest: manifest },
    ...blobs.map((digest) => ({ type: 'blob' as const, name, digest })),
  ]);
  await expectFacts(storage, facts);
  await expectWhole(storage);
  await expectNoOrphans(storage, rootDir);
  await expectFacts(storage, facts);
}

describeRoot('a registry that is killed while clients push, pull and delete, and garbage is collected', () => {
  test(`keeps what it acknowledged through ${String(kills)} kills, and nothing else in the end`, async () => {
    await expectToEndure({ clients: 6, kills, lifeMs: [1, 150] });
  }, 900_000);

  test(`serves 20 clients for ${String(seconds)} seconds with ten kills`, async () => {
    const lifeMs = (seconds * 1000) / 11;
    await expectToEndure({ clients: 20, kills: 10, lifeMs: [Math.round(lifeMs * 0.5), Math.round(lifeMs * 1.5)] });
  }, 900_000);
});
