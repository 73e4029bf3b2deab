import { describe, expect, it } from '@jest/globals';

import type { ControllerGroup } from '../controller.ts';
import { cpusToQuota, type CgroupLimits } from '../limits.ts';
import { planCpu, sharesToWeight, type CpuBandwidth } from './cpu.ts';

const v1: ControllerGroup = { version: 1, directory: '/v1' };
const v2: ControllerGroup = { version: 2, directory: '/v2' };

const plan = (limits: CgroupLimits, group: ControllerGroup, present?: CpuBandwidth): string[] =>
  planCpu(limits, group, present).map(({ path, data }) => `${path} ${data}`);

describe('planCpu', () => {
  it('sets period before quota in a new v1 group', () => {
    expect(plan({ ...cpusToQuota(1.5), cpuShares: 512 }, v1)).toEqual([
      '/v1/cpu.shares 512',
      '/v1/cpu.cfs_period_us 100000',
      '/v1/cpu.cfs_quota_us 150000',
    ]);
  });

  it('lifts an old v1 quota before both change', () => {
    const present = { cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 };
    expect(plan({ cpuQuotaUs: 5000, cpuPeriodUs: 10_000 }, v1, present)).toEqual([
      '/v1/cpu.cfs_quota_us -1',
      '/v1/cpu.cfs_period_us 10000',
      '/v1/cpu.cfs_quota_us 5000',
    ]);
    expect(plan({ cpuQuotaUs: 5000 }, v1, present)).toEqual(['/v1/cpu.cfs_quota_us 5000']);
    expect(plan({ cpuPeriodUs: 50_000 }, v1, present)).toEqual(['/v1/cpu.cfs_period_us 50000']);
  });

  it('writes quota and period at once on v2, keeping the one that stays', () => {
    const present = { cpuQuotaUs: 50_000, cpuPeriodUs: 200_000 };
    expect(plan({ cpuQuotaUs: 5000, cpuPeriodUs: 10_000 }, v2)).toEqual(['/v2/cpu.max 5000 10000']);
    expect(plan({ cpuQuotaUs: 5000 }, v2, present)).toEqual(['/v2/cpu.max 5000 200000']);
    expect(plan({ cpuPeriodUs: 100_000 }, v2, present)).toEqual(['/v2/cpu.max 50000 100000']);
    expect(plan({ cpuQuotaUs: -1 }, v2, present)).toEqual(['/v2/cpu.max max 200000']);
  });

  it.each([{ cpuQuotaUs: 999 }, { cpuPeriodUs: 999 }, { cpuPeriodUs: 1_000_001 }, { cpuShares: 1 }])(
    'refuses %j',
    (limits) => {
      expect(() => plan(limits, v1)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_INVALID' }));
    },
  );
});

it.each([
  [2, 1],
  [1024, 100],
  [512, 59],
  [2048, 174],
  [262_144, 10_000],
])('%d shares weigh %d', (shares, weight) => {
  expect(sharesToWeight(shares)).toBe(weight);
  expect(plan({ cpuShares: shares }, v2)).toEqual([`/v2/cpu.weight ${String(weight)}`]);
});

describe('cpusToQuota', () => {
  it('makes a part of every 100 ms', () => {
    expect(cpusToQuota(0.5)).toEqual({ cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 });
    expect(cpusToQuota(0.01).cpuQuotaUs).toBe(1000);
  });

  it.each([0, -1, 0.001, Number.NaN])('refuses %d', (cpus) => {
    expect(() => cpusToQuota(cpus)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_INVALID' }));
  });
});
