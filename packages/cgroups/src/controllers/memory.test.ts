import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { ControllerGroup } from '../controller.ts';
import type { CgroupLimits } from '../limits.ts';
import { planMemory, readMemoryMaxima, readMemoryStats, readOomKills, type MemoryMaxima } from './memory.ts';

const v1: ControllerGroup = { version: 1, directory: '/v1' };
const v2: ControllerGroup = { version: 2, directory: '/v2' };

const plan = (limits: CgroupLimits, group: ControllerGroup, present?: MemoryMaxima): string[] =>
  planMemory(limits, group, present).map(({ path, data }) => `${path} ${data}`);

describe('planMemory on v1', () => {
  it('limits memory before memory and swap in a new group', () => {
    expect(plan({ memoryMaxBytes: 100, memorySwapMaxBytes: 200 }, v1)).toEqual([
      '/v1/memory.limit_in_bytes 100',
      '/v1/memory.memsw.limit_in_bytes 200',
    ]);
  });

  it('raises memory and swap first when memory grows past it', () => {
    const present = { memoryMaxBytes: 100, memorySwapMaxBytes: 200 };
    expect(plan({ memoryMaxBytes: 300, memorySwapMaxBytes: 400 }, v1, present)).toEqual([
      '/v1/memory.memsw.limit_in_bytes 400',
      '/v1/memory.limit_in_bytes 300',
    ]);
    expect(plan({ memoryMaxBytes: 50, memorySwapMaxBytes: 60 }, v1, present)).toEqual([
      '/v1/memory.limit_in_bytes 50',
      '/v1/memory.memsw.limit_in_bytes 60',
    ]);
  });

  it('lifts limits with -1, however the caller says it', () => {
    const present = { memoryMaxBytes: 100, memorySwapMaxBytes: 200 };
    expect(plan({ memoryMaxBytes: -1, memorySwapMaxBytes: 'max', memoryReservationBytes: 'max' }, v1, present)).toEqual(
      ['/v1/memory.memsw.limit_in_bytes -1', '/v1/memory.limit_in_bytes -1', '/v1/memory.soft_limit_in_bytes -1'],
    );
  });

  it('sets reservation, swappiness and the OOM killer', () => {
    expect(plan({ memoryReservationBytes: 50, memorySwappiness: 0, oomKillDisable: true }, v1)).toEqual([
      '/v1/memory.soft_limit_in_bytes 50',
      '/v1/memory.swappiness 0',
      '/v1/memory.oom_control 1',
    ]);
  });
});

describe('planMemory on v2', () => {
  it('limits swap to what is left of the sum', () => {
    expect(plan({ memoryMaxBytes: 100, memorySwapMaxBytes: 250, memoryReservationBytes: 40 }, v2)).toEqual([
      '/v2/memory.max 100',
      '/v2/memory.swap.max 150',
      '/v2/memory.low 40',
    ]);
    expect(plan({ memoryMaxBytes: 100, memorySwapMaxBytes: 100 }, v2)[1]).toBe('/v2/memory.swap.max 0');
    expect(plan({ memorySwapMaxBytes: -1 }, v2)).toEqual(['/v2/memory.swap.max max']);
  });

  it('keeps the sum when only memory changes', () => {
    const present = { memoryMaxBytes: 100, memorySwapMaxBytes: 250 };
    expect(plan({ memoryMaxBytes: 200 }, v2, present)).toEqual(['/v2/memory.max 200', '/v2/memory.swap.max 50']);
  });

  it('refuses what it has no file for', () => {
    for (const limits of [{ memorySwappiness: 10 }, { oomKillDisable: true }]) {
      expect(() => plan(limits, v2)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_UNSUPPORTED' }));
    }
    expect(plan({ oomKillDisable: false }, v2)).toEqual([]);
  });
});

describe('planMemory refuses', () => {
  it.each([
    ['no memory at all', { memoryMaxBytes: 0 }],
    ['a part of a byte', { memoryMaxBytes: 1.5 }],
    ['less memory and swap than memory', { memoryMaxBytes: 100, memorySwapMaxBytes: 99 }],
    ['a limit of memory and swap without one of memory', { memorySwapMaxBytes: 100 }],
    ['a swappiness over 100', { memorySwappiness: 101 }],
  ])('%s', (_, limits) => {
    expect(() => plan(limits, v1)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_INVALID' }));
  });

  it('to pass a limit of memory and swap that stays', () => {
    expect(() => plan({ memoryMaxBytes: 300 }, v1, { memoryMaxBytes: 100, memorySwapMaxBytes: 200 })).toThrow(
      'cannot set memoryMaxBytes to 300: must be at most the limit of memory and swap together, 200; raise memorySwapMaxBytes too',
    );
  });
});

describe('reading memory', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cgroup-memory-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });
  const files = (contents: Readonly<Record<string, string>>): void => {
    for (const [name, text] of Object.entries(contents)) writeFileSync(join(directory, name), text);
  };

  it('understands v1', () => {
    files({
      'memory.usage_in_bytes': '4096\n',
      'memory.max_usage_in_bytes': '8192\n',
      'memory.limit_in_bytes': '9223372036854771712\n',
      'memory.stat': 'cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\ntotal_inactive_file 5\ntotal_swap 7\n',
      'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
    });
    const group = { version: 1, directory } as const;
    expect(readMemoryStats(group)).toEqual({
      currentBytes: 4096n,
      peakBytes: 8192n,
      limitBytes: 'max',
      cacheBytes: 10n,
      inactiveFileBytes: 5n,
      anonymousBytes: 20n,
      swapBytes: 7n,
    });
    expect(readOomKills(group)).toBe(3);
    expect(readMemoryMaxima(group)).toEqual({ memoryMaxBytes: 'max', memorySwapMaxBytes: 'max' });
  });

  it('understands v2, and adds up memory and swap', () => {
    files({
      'memory.current': '4096\n',
      'memory.max': '1000\n',
      'memory.swap.max': '500\n',
      'memory.swap.current': '9\n',
      'memory.stat': 'anon 1\nfile 2\ninactive_file 3\n',
      'memory.events': 'low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n',
    });
    const group = { version: 2, directory } as const;
    expect(readMemoryStats(group)).toEqual({
      currentBytes: 4096n,
      peakBytes: undefined,
      limitBytes: 1000n,
      cacheBytes: 2n,
      inactiveFileBytes: 3n,
      anonymousBytes: 1n,
      swapBytes: 9n,
    });
    expect(readOomKills(group)).toBe(1);
    expect(readMemoryMaxima(group)).toEqual({ memoryMaxBytes: 1000, memorySwapMaxBytes: 1500 });
  });

  it('says when the controller is not there', () => {
    expect(readMemoryStats({ version: 2, directory })).toBeUndefined();
  });
});
