import { equal } from 'node:assert/strict';
import { mkdtempDisposable, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openFileSystemStorage } from '../src/index.ts';
import { fuzz } from './fuzz.ts';
import { startHostileTarget } from './hostile-registry.ts';
import { expectOnlyRoot, expectSound, FUZZ_LIMITS, SECRET } from './fuzz-check.ts';

/** Fuzzes a registry by hand, for longer than a test may take: `node fuzz-program.ts [requests] [seed]`. */
const [count = 200_000, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number);
await using dir = await mkdtempDisposable(join(tmpdir(), 'tsc-fuzz-'));
const rootDir = join(dir.path, 'outside', 'root');
await using cache = await mkdtempDisposable(join(tmpdir(), 'tsc-fuzz-cache-'));
await using target = await startHostileTarget({ rootDir, cacheDir: cache.path, limits: FUZZ_LIMITS });
await writeFile(join(dir.path, 'outside', 'canary'), SECRET);
const sinceMs = performance.now();
const { statuses, findings, memoryBytes } = await fuzz({ target, seed, count, secret: SECRET });
const seconds = (performance.now() - sinceMs) / 1000;
const report = { seed, count, seconds, statuses, findings, memoryBytes, descriptors: await target.descriptors() };
process.stdout.write(
  `${JSON.stringify({ ...report, failures: target.failures, exit: target.exit() }, undefined, 2)}\n`,
);
await expectOnlyRoot(join(dir.path, 'outside'));
await expectSound(target, rootDir);
await using storage = await openFileSystemStorage(rootDir);
await storage.removeStaleUploads(0);
await storage.collectGarbage(0);
const { unlinkedBlobs, removedBlobs } = await storage.collectGarbage(0);
equal(unlinkedBlobs + removedBlobs, 0);
equal((await readdir(join(rootDir, 'uploads'))).length, 0);
process.stdout.write('its store is whole and clean\n');
