import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { probeCgroups } from './facts.ts';

describe('probeCgroups', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cgroup-facts-'));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const v1Line = (names: string, mountRoot = '/'): string =>
    `1 2 0:3 ${mountRoot} ${root}/${names} rw - cgroup cgroup rw,${names}`;
  const v2Line = (): string => `1 2 0:3 / ${root}/unified rw - cgroup2 cgroup2 rw`;
  const makeUnified = (controllers: string): void => {
    mkdirSync(`${root}/unified`);
    writeFileSync(`${root}/unified/cgroup.controllers`, controllers);
  };

  it('finds every controller of a v2 tree, and those that need none', () => {
    makeUnified('cpuset cpu io memory hugetlb pids\n');
    const facts = probeCgroups({ mountinfo: v2Line() });
    const unified = { version: 2, mountPoint: `${root}/unified` };
    expect(facts.mode).toBe('v2');
    expect(facts.swapAccounting).toBe(true);
    expect(facts.controllers).toEqual({
      memory: unified,
      pids: unified,
      cpu: unified,
      cpuacct: unified,
      devices: unified,
      freezer: unified,
      blkio: unified,
      cpuset: unified,
    });
  });

  it('leaves out what a v2 tree does not offer', () => {
    makeUnified('memory\n');
    const { controllers } = probeCgroups({ mountinfo: v2Line() });
    expect(Object.keys(controllers)).toEqual(['memory', 'cpuacct', 'devices', 'freezer']);
  });

  it('prefers v1 in a hybrid machine, and takes the rest from v2', () => {
    makeUnified('hugetlb pids\n');
    const facts = probeCgroups({ mountinfo: [v1Line('memory'), v1Line('freezer'), v2Line()].join('\n') });
    expect(facts.mode).toBe('hybrid');
    expect(facts.controllers.memory).toEqual({ version: 1, mountPoint: `${root}/memory` });
    expect(facts.controllers.freezer?.version).toBe(1);
    expect(facts.controllers.pids?.version).toBe(2);
    expect(facts.controllers.devices?.version).toBe(2);
    expect(facts.controllers.cpu).toBeUndefined();
  });

  it('gives co-mounted controllers one mount', () => {
    const { mode, controllers } = probeCgroups({ mountinfo: v1Line('cpu,cpuacct') });
    expect(mode).toBe('v1');
    expect(controllers.cpu).toEqual({ version: 1, mountPoint: `${root}/cpu,cpuacct` });
    expect(controllers.cpuacct).toEqual(controllers.cpu);
  });

  it('prefers a mount of the whole hierarchy', () => {
    const partial = v1Line('pids', '/docker/abc').replace(`${root}/pids`, `${root}/partial`);
    const { controllers } = probeCgroups({ mountinfo: [partial, v1Line('pids')].join('\n') });
    expect(controllers.pids?.mountPoint).toBe(`${root}/pids`);
  });

  it('knows whether v1 accounts for swap', () => {
    expect(probeCgroups({ mountinfo: v1Line('memory') }).swapAccounting).toBe(false);
    mkdirSync(`${root}/memory`);
    writeFileSync(`${root}/memory/memory.memsw.limit_in_bytes`, '0');
    expect(probeCgroups({ mountinfo: v1Line('memory') }).swapAccounting).toBe(true);
  });

  it('refuses a machine without cgroups', () => {
    expect(() => probeCgroups({ mountinfo: '1 2 0:3 / / rw - ext4 /dev/vda rw' })).toThrow(
      expect.objectContaining({ name: 'CgroupError', code: 'CGROUP_UNAVAILABLE' }),
    );
    const named = `1 2 0:3 / ${root}/systemd rw - cgroup cgroup rw,name=systemd`;
    expect(() => probeCgroups({ mountinfo: named })).toThrow(/no cgroup file system is mounted/);
  });
});
