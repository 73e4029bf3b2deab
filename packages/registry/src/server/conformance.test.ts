import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { ConformanceTarget } from '../testing/case.ts';
import { conformanceCases, openConformanceTarget } from '../testing/conformance.ts';
import { serveRegistry } from './serve.ts';
import type { RegistryServer } from './serve.ts';

let rootDir: string;
let server: RegistryServer;
let target: ConformanceTarget;
const failures: unknown[] = [];

beforeAll(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  server = await serveRegistry({ listen: '127.0.0.1:0', rootDir, onFailure: (failure) => failures.push(failure) });
  target = openConformanceTarget(server.url);
});
afterAll(async () => {
  target[Symbol.dispose]();
  await server.close();
  await rm(rootDir, { recursive: true });
});

describe('the specification, kept by our registry', () => {
  test('every rule has an id of its own, and there are many', () => {
    expect(new Set(conformanceCases.map(({ id }) => id)).size).toBe(conformanceCases.length);
    expect(conformanceCases.length).toBeGreaterThanOrEqual(120);
  });

  test.each(conformanceCases)('$section: $level: $title', async ({ run }) => {
    await run(target);
  });

  test('nothing of it was a failure of ours, and nothing is left lying about', async () => {
    expect(failures).toEqual([]);
    expect(await readdir(join(rootDir, 'temporary'))).toEqual([]);
    expect((await readdir(rootDir)).sort()).toEqual(['blobs', 'registry.json', 'repositories', 'temporary', 'uploads']);
  });
});
