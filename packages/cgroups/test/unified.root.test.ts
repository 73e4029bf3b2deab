import { closeSync, fstatSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';
import { createCgroup, probeCgroups, type CgroupLimits, type DeviceRule } from '@tsc/cgroups';
import { AT_FDCWD, mknodat } from '@tsc/sys';

import { describeRoot, testMarker } from '../../../test/root.ts';
import { eventually, startMember } from './member.ts';

// On a hybrid machine the v2 tree has few controllers, but freezing, killing and device programs are part of any.
const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')
  .split('\n')
  .filter((line) => line.includes(' - cgroup2 '))
  .join('\n');

const create = (limits: CgroupLimits = {}) => {
  const cgroup = createCgroup(`/${testMarker}/group`, { facts: probeCgroups({ mountinfo }), limits });
  const kill = async (): Promise<void> => {
    await cgroup.killAll();
    await cgroup.destroy({ removeEmptyParents: true });
  };
  return Object.assign(cgroup, { [Symbol.asyncDispose]: kill });
};

describeRoot('a v2 cgroup', () => {
  it('is one directory, whose descriptor clone3 takes', async () => {
    await using cgroup = create();
    expect(cgroup.directories).toHaveLength(1);
    const fd = cgroup.openDirectory() ?? -1;
    const { ino } = fstatSync(fd);
    closeSync(fd);
    expect(ino).toBe(statSync(cgroup.directories[0] ?? '').ino);
  });

  it('denies devices with a program that the kernel accepts', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'devices-'));
    mknodat(AT_FDCWD, `${dir}/null`, 0o020666, { major: 1, minor: 3 });
    mknodat(AT_FDCWD, `${dir}/zero`, 0o020666, { major: 1, minor: 5 });
    const deny: DeviceRule = { allow: false, type: 'a', major: '*', minor: '*', access: 'rwm' };
    const devices: DeviceRule[] = [
      deny,
      { allow: true, type: 'c', major: 1, minor: '*', access: 'rw' },
      { allow: false, type: 'c', major: 1, minor: 5, access: 'w' },
    ];
    await using cgroup = create({ devices });
    const script = [
      `: <${dir}/null && echo null reads`,
      `: <${dir}/zero && echo zero reads`,
      `: >${dir}/null && echo null writes`,
      `mknod ${dir}/made c 1 3 || echo mknod fails`,
      `: >${dir}/zero`,
    ].join('; ');
    await using member = startMember(cgroup, script);
    const { output } = await member.ended;
    rmSync(dir, { recursive: true });
    for (const line of ['null reads', 'zero reads', 'null writes', 'mknod fails']) expect(output).toContain(line);
    expect(output).toMatch(/zero: Operation not permitted/);
  });

  it('freezes, thaws, and kills with cgroup.kill, child groups too', async () => {
    await using cgroup = create();
    const child = cgroup.createChild('exec');
    await using member = startMember(cgroup, 'exec sleep 100');
    await using childMember = startMember(child, 'exec sleep 100');
    await eventually(() => cgroup.pids().length === 2 && child.pids().length === 1);
    await child.freeze();
    await child.thaw();
    await cgroup.freeze();
    await cgroup.killAll();
    expect(cgroup.populated()).toBe(false);
    expect((await member.ended).status).toBe('SIGKILL');
    expect((await childMember.ended).status).toBe('SIGKILL');
  });

  it('tells the CPU time of any group', async () => {
    await using cgroup = create();
    await using member = startMember(cgroup, 'while :; do :; done');
    await eventually(() => (cgroup.stats().cpu?.totalNs ?? 0n) > 0n);
    expect(member.child.exitCode).toBeNull();
  });
});
