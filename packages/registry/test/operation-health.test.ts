import { rename } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { createHealth } from '../src/index.ts';
import type { Health } from '../src/index.ts';
import { serve, until } from './operation-server.ts';

const statusOf = async (url: string, path: string): Promise<number> => (await fetch(`${url}${path}`)).status;

describe('health', () => {
  test('says that storage is written, that it is not, and that it is again', async () => {
    const reasons: unknown[] = [];
    await using server = await serve((storage) => ({
      endpoints: createHealth({ storage, maxAgeMs: 20, onFailure: (reason) => reasons.push(reason) }).endpoints,
    }));
    const { url, rootDir } = server;
    expect(await statusOf(url, '/health/live')).toBe(200);
    expect(await statusOf(url, '/health/ready')).toBe(200);
    await rename(join(rootDir, 'uploads'), join(rootDir, 'away'));
    await until('it is not ready', async () => (await statusOf(url, '/health/ready')) === 503);
    expect(await statusOf(url, '/health/live')).toBe(200);
    expect(await (await fetch(`${url}/health/ready`)).text()).not.toContain(rootDir);
    expect(reasons.length).toBeGreaterThan(0);
    await rename(join(rootDir, 'away'), join(rootDir, 'uploads'));
    await until('it is ready', async () => (await statusOf(url, '/health/ready')) === 200);
    expect(await server.storage.removeStaleUploads(0)).toBe(0);
  });

  test('asks storage once for many who ask, and not before the answer is old', async () => {
    let probes = 0;
    await using server = await serve((storage) => ({
      endpoints: createHealth({
        storage: {
          ...storage,
          startUpload: (...args) => {
            probes++;
            return storage.startUpload(...args);
          },
        },
      }).endpoints,
    }));
    const answers = await Promise.all(Array.from({ length: 20 }, () => statusOf(server.url, '/health/ready')));
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(probes).toBe(1);
  });

  test('does not wait for storage that hangs, and asks it no second time', async () => {
    let probes = 0;
    await using server = await serve((storage) => ({
      endpoints: createHealth({
        storage: {
          ...storage,
          startUpload: () => {
            probes++;
            return new Promise<string>(() => undefined);
          },
        },
        timeoutMs: 30,
        maxAgeMs: 1,
      }).endpoints,
    }));
    for (let times = 0; times < 3; times++) expect(await statusOf(server.url, '/health/ready')).toBe(503);
    expect(probes).toBe(1);
  });

  test('is not ready while it shuts down, nor when it can not even be read', async () => {
    let health: Health | undefined;
    await using server = await serve((storage) => {
      health = createHealth({ storage, readOnly: true, maxAgeMs: 0 });
      return { endpoints: health.endpoints };
    });
    expect(await statusOf(server.url, '/health/ready')).toBe(200);
    health?.shutDown();
    const answer = await fetch(`${server.url}/health/ready`);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await statusOf(server.url, '/health/live')).toBe(200);
  });
});
