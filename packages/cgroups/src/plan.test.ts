import { describe, expect, it } from '@jest/globals';

import { CONTROLLERS, type CgroupController } from './controller.ts';
import type { CgroupFacts } from './facts.ts';
import { groupsAt } from './group-path.ts';
import type { CgroupLimits } from './limits.ts';
import { controllersFor, planLimits } from './plan.ts';

const factsWith = (version: 1 | 2, names: readonly CgroupController[] = CONTROLLERS): CgroupFacts => ({
  mode: version === 1 ? 'v1' : 'v2',
  controllers: Object.fromEntries(
    names.map((name) => [name, { version, mountPoint: version === 1 ? `/cg/${name}` : '/cg' }]),
  ),
  unifiedMountPoint: version === 1 ? undefined : '/cg',
  swapAccounting: true,
});

const plan = (limits: CgroupLimits, facts: CgroupFacts): string[] =>
  planLimits(limits, { facts, groups: groupsAt('/tsc/abc', facts, CONTROLLERS) }).map((step) =>
    step.type === 'write' ? `${step.path} ${step.data}` : `${step.directory} program`,
  );

const limits: CgroupLimits = {
  devices: [{ allow: false, type: 'a', major: '*', minor: '*', access: 'rwm' }],
  cpusetCpus: '0',
  blkioWeight: 100,
  cpuShares: 1024,
  pidsMax: 10,
  memoryMaxBytes: 4096,
};

describe('planLimits', () => {
  it('writes v1 files in the order of controllers', () => {
    expect(plan(limits, factsWith(1))).toEqual([
      '/cg/memory/tsc/abc/memory.limit_in_bytes 4096',
      '/cg/pids/tsc/abc/pids.max 10',
      '/cg/cpu/tsc/abc/cpu.shares 1024',
      '/cg/devices/tsc/abc/devices.deny a',
      '/cg/blkio/tsc/abc/blkio.weight 100',
      '/cg/cpuset/tsc/abc/cpuset.cpus 0',
    ]);
  });

  it('writes v2 files', () => {
    expect(plan(limits, factsWith(2))).toEqual([
      '/cg/tsc/abc/memory.max 4096',
      '/cg/tsc/abc/pids.max 10',
      '/cg/tsc/abc/cpu.weight 100',
      '/cg/tsc/abc program',
      '/cg/tsc/abc/io.bfq.weight 100',
      '/cg/tsc/abc/cpuset.cpus 0',
    ]);
  });

  it('has nothing to do without limits', () => {
    expect(plan({ pidsMax: undefined }, factsWith(1))).toEqual([]);
    expect(controllersFor({ pidsMax: undefined })).toEqual([]);
    expect(controllersFor(limits)).toEqual(['memory', 'pids', 'cpu', 'devices', 'blkio', 'cpuset']);
  });

  it('refuses a limit whose controller is missing, naming it', () => {
    expect(() => plan({ pidsMax: 3, memoryMaxBytes: 4096 }, factsWith(2, ['memory']))).toThrow(
      expect.objectContaining({
        code: 'CGROUP_CONTROLLER_OFF',
        message: 'cannot set pidsMax: the pids controller is not there',
      }),
    );
  });

  it('refuses to limit swap where nobody accounts for it, but memory may be', () => {
    const facts = { ...factsWith(1), swapAccounting: false };
    expect(plan({ memoryMaxBytes: 4096 }, facts)).toHaveLength(1);
    expect(() => plan({ memoryMaxBytes: 4096, memorySwapMaxBytes: 4096 }, facts)).toThrow(
      expect.objectContaining({ code: 'CGROUP_CONTROLLER_OFF' }),
    );
  });
});
