import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';
import { createCgroup, cpusToQuota, openCgroup, probeCgroups, type CgroupLimits, type DeviceRule } from '@tsc/cgroups';
import { AT_FDCWD, mknodat } from '@tsc/sys';

import { describeRoot, testMarker } from '../../../test/root.ts';
import { eventually, startMember } from './member.ts';

const facts = probeCgroups();
const path = `/${testMarker}/group`;
const create = (limits: CgroupLimits = {}) => {
  const cgroup = createCgroup(path, { facts, limits });
  const kill = async (): Promise<void> => {
    await cgroup.killAll();
    await cgroup.destroy({ removeEmptyParents: true });
  };
  return Object.assign(cgroup, { [Symbol.asyncDispose]: kill });
};

const denyAll: DeviceRule = { allow: false, type: 'a', major: '*', minor: '*', access: 'rwm' };
const allowNull: DeviceRule = { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' };
const S_IFCHR = 0o020000;

describeRoot('a cgroup', () => {
  it('limits how many processes there are', async () => {
    await using cgroup = create({ pidsMax: 3 });
    expect(cgroup.stats().pids?.limit).toBe(3);
    const idle = 'sleep 100 >/dev/null 2>&1 &';
    await using member = startMember(cgroup, `${idle} ${idle} ${idle} wait`);
    const { status, output } = await member.ended;
    expect(status).not.toBe(0);
    expect(output).toMatch(/fork/i);
    expect(cgroup.stats().pids?.current).toBe(2);
  });

  it('kills what takes too much memory, and counts it', async () => {
    await using cgroup = create({ memoryMaxBytes: 16 * 1024 ** 2 });
    expect(cgroup.oomKills()).toBe(0);
    await using member = startMember(cgroup, 'exec tail /dev/zero');
    expect((await member.ended).status).toBe('SIGKILL');
    expect(cgroup.oomKills()).toBe(1);
    const { memory } = cgroup.stats();
    expect(memory?.limitBytes).toBe(16n * 1024n ** 2n);
    expect(memory?.peakBytes).toBeGreaterThan(15n * 1024n ** 2n);
  });

  it('throttles what takes too much CPU time', async () => {
    await using cgroup = create(cpusToQuota(0.1));
    await using member = startMember(cgroup, 'while :; do :; done');
    await eventually(() => (cgroup.stats().throttling?.throttledPeriods ?? 0n) >= 3n);
    expect(member.child.exitCode).toBeNull();
    const { cpu, throttling } = cgroup.stats();
    expect(throttling?.throttledNs).toBeGreaterThan(0n);
    expect(cpu?.totalNs).toBeGreaterThan(0n);
  });

  it('denies devices that no rule allows', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'devices-'));
    mknodat(AT_FDCWD, `${dir}/null`, S_IFCHR | 0o666, { major: 1, minor: 3 });
    mknodat(AT_FDCWD, `${dir}/zero`, S_IFCHR | 0o666, { major: 1, minor: 5 });
    await using cgroup = create({ devices: [denyAll, allowNull] });
    await using member = startMember(cgroup, `: <${dir}/null && echo null opens; : <${dir}/zero`);
    const { output } = await member.ended;
    rmSync(dir, { recursive: true });
    expect(output).toMatch(/^null opens$/m);
    expect(output).toMatch(/zero: Operation not permitted/);
  });

  it('freezes and thaws', async () => {
    await using cgroup = create();
    await using member = startMember(cgroup, 'while :; do :; done');
    await eventually(() => (cgroup.stats().cpu?.totalNs ?? 0n) > 20_000_000n);
    await cgroup.freeze();
    const before = cgroup.stats().cpu?.totalNs;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(cgroup.stats().cpu?.totalNs).toBe(before);
    await cgroup.thaw();
    await eventually(() => (cgroup.stats().cpu?.totalNs ?? 0n) > (before ?? 0n));
    expect(member.child.exitCode).toBeNull();
  });

  it('kills all it has, the frozen, the forked and those of child groups', async () => {
    await using cgroup = create();
    const child = cgroup.createChild('exec');
    await using parentMember = startMember(cgroup, 'sleep 100 & sleep 100 & wait');
    await using childMember = startMember(child, 'exec sleep 100');
    await eventually(() => cgroup.pids().length === 4 && child.pids().length === 1);
    await child.freeze();
    await cgroup.freeze();
    await cgroup.killAll();
    expect(cgroup.populated()).toBe(false);
    expect((await parentMember.ended).status).toBe('SIGKILL');
    expect((await childMember.ended).status).toBe('SIGKILL');
  });

  it('kills a group of an exec and nothing else', async () => {
    await using cgroup = create();
    const child = cgroup.createChild('exec');
    await using parentMember = startMember(cgroup, 'exec sleep 100');
    await using childMember = startMember(child, 'setsid sleep 100 & setsid sleep 100 & wait');
    await eventually(() => cgroup.pids().length === 4 && child.pids().length === 3);
    expect(cgroup.stats().pids?.current).toBe(4);
    await cgroup.openChild('exec').killAll();
    await childMember.ended;
    expect(cgroup.pids()).toEqual([parentMember.child.pid]);
  });

  it('outruns a process that forks all the time', async () => {
    await using cgroup = create({ pidsMax: 200 });
    await using member = startMember(cgroup, 'bomb() { bomb & bomb & :; }; bomb 2>/dev/null; sleep 100');
    await eventually(() => (cgroup.stats().pids?.current ?? 0) > 50);
    await cgroup.killAll();
    expect(cgroup.populated()).toBe(false);
    await member.ended;
  });

  it('is not removed while a process is in it', async () => {
    await using cgroup = create();
    await using member = startMember(cgroup, 'exec sleep 100');
    await eventually(cgroup.populated.bind(cgroup));
    await expect(cgroup.destroy({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'CGROUP_BUSY' });
    expect(member.child.exitCode).toBeNull();
  });

  it('is gone after destroy, with its empty parents, and says so', async () => {
    const cgroup = create();
    cgroup.createChild('exec');
    await cgroup.destroy({ removeEmptyParents: true });
    await cgroup.destroy();
    const parents = Object.values(facts.controllers).map(({ mountPoint }) => `${mountPoint}/${testMarker}`);
    expect(parents.filter((parent) => existsSync(parent))).toEqual([]);
    for (const use of [
      () => cgroup.pids(),
      () => cgroup.stats(),
      () => {
        cgroup.apply({ pidsMax: 1 });
      },
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'CGROUP_NOT_FOUND' }));
    }
    expect(() => openCgroup(path, { facts })).toThrow(expect.objectContaining({ code: 'CGROUP_NOT_FOUND' }));
  });

  it('pins to CPUs, with parents that were just made', async () => {
    await using cgroup = create({ cpusetCpus: '0' });
    await using member = startMember(cgroup, 'grep Cpus_allowed_list /proc/self/status');
    expect((await member.ended).output).toMatch(/Cpus_allowed_list:\s+0$/m);
  });

  it('leaves nothing behind when the kernel refuses a limit', () => {
    expect(() => create({ cpusetCpus: '4095' })).toThrow(expect.objectContaining({ code: 'CGROUP_WRITE_REFUSED' }));
  });

  it('is found again by its path', async () => {
    await using cgroup = create();
    expect(openCgroup(path, { facts }).directories).toEqual(cgroup.directories);
  });
});

describeRoot('limits that change', () => {
  const readBack = (suffix: string): string => {
    const found = Object.values(facts.controllers).map(({ mountPoint }) => `${mountPoint}${path}/${suffix}`);
    const file = found.find((candidate) => existsSync(candidate));
    return file === undefined ? '' : readFileSync(file, 'utf8').trim();
  };
  const MiB = 1024 ** 2;

  it('grow and shrink through every order the kernel checks', async () => {
    await using cgroup = create({ memoryMaxBytes: 32 * MiB, memorySwapMaxBytes: 32 * MiB, ...cpusToQuota(0.5) });
    for (const mebibytes of [64, 16, 128]) {
      const bytes = mebibytes * MiB;
      cgroup.apply({ memoryMaxBytes: bytes, memorySwapMaxBytes: bytes });
      expect(cgroup.stats().memory?.limitBytes).toBe(BigInt(bytes));
    }
    expect(() => {
      cgroup.apply({ memoryMaxBytes: 256 * MiB });
    }).toThrow(/raise memorySwapMaxBytes too/);
    cgroup.apply({ memoryMaxBytes: 'max', memorySwapMaxBytes: 'max' });
    expect(cgroup.stats().memory?.limitBytes).toBe('max');
    cgroup.apply({ cpuQuotaUs: 1000, cpuPeriodUs: 2000 });
    cgroup.apply({ cpuQuotaUs: -1 });
    cgroup.apply({ cpuShares: 512, pidsMax: 9, memoryReservationBytes: 8 * MiB, blkioWeight: 200 });
    expect(cgroup.stats().pids?.limit).toBe(9);
  });

  it("stay below a parent's quota when period and quota change together", async () => {
    await using parent = create(cpusToQuota(0.5));
    await using child = parent.createChild('child', { limits: { cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 } });
    child.apply({ cpuQuotaUs: 5000, cpuPeriodUs: 10_000 });
    child.apply({ cpuQuotaUs: 500_000, cpuPeriodUs: 1_000_000 });
    expect(() => {
      child.apply({ cpuQuotaUs: 90_000, cpuPeriodUs: 100_000 });
    }).toThrow(expect.objectContaining({ code: 'CGROUP_WRITE_REFUSED', errno: 'EINVAL' }));
  });

  it('go back to what they were when one is refused', async () => {
    await using cgroup = create({ pidsMax: 5, cpusetCpus: '0' });
    expect(() => {
      cgroup.apply({ pidsMax: 6, memoryMaxBytes: 64 * MiB, cpusetCpus: '4095' });
    }).toThrow(expect.objectContaining({ code: 'CGROUP_WRITE_REFUSED' }));
    expect(cgroup.stats().pids?.limit).toBe(5);
    expect(cgroup.stats().memory?.limitBytes).toBe('max');
    expect(readBack('cpuset.cpus')).toBe('0');
  });
});
