import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { createCgroup, openCgroup } from './cgroup.ts';
import { probeCgroups, type CgroupFacts } from './facts.ts';

// A plain directory stands in for the mounts: directories behave, interface files do not appear by themselves.
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cgroup-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const v1Facts = (...hierarchies: string[]): CgroupFacts => {
  for (const names of hierarchies) mkdirSync(join(root, names));
  const line = (names: string): string => `1 2 0:3 / ${root}/${names} rw - cgroup cgroup rw,${names}`;
  return probeCgroups({ mountinfo: hierarchies.map(line).join('\n') });
};
const v2Facts = (controllers: string, enabled = ''): CgroupFacts => {
  writeFileSync(join(root, 'cgroup.controllers'), controllers);
  writeFileSync(join(root, 'cgroup.subtree_control'), enabled);
  return probeCgroups({ mountinfo: `1 2 0:3 / ${root} rw - cgroup2 cgroup2 rw` });
};
const tree = (): string[] => readdirSync(root, { recursive: true }).map(String).toSorted();

describe('createCgroup on v1', () => {
  it('makes one directory per hierarchy, parents included, cpuset left out', () => {
    const facts = v1Facts('memory', 'pids', 'cpu,cpuacct', 'cpuset', 'freezer');
    const cgroup = createCgroup('/tsc/abc', { facts });
    expect(cgroup.directories).toEqual(
      ['memory', 'pids', 'cpu,cpuacct', 'freezer'].map((names) => `${root}/${names}/tsc/abc`),
    );
    expect(cgroup.directories.every((directory) => existsSync(directory))).toBe(true);
    expect(existsSync(`${root}/cpuset/tsc`)).toBe(false);
  });

  it('is joined by way of tasks, once per hierarchy, and never of cgroup.procs', () => {
    const cgroup = createCgroup('/abc', { facts: v1Facts('memory', 'cpu,cpuacct') });
    expect(cgroup.joinTargets()).toEqual([
      { path: `${root}/memory/abc/tasks`, data: '0' },
      { path: `${root}/cpu,cpuacct/abc/tasks`, data: '0' },
    ]);
    expect(cgroup.openDirectory()).toBeUndefined();
  });

  it('leaves nothing behind when a limit cannot be written', () => {
    const facts = v1Facts('memory', 'pids');
    const before = tree();
    expect(() => createCgroup('/tsc/deep/abc', { facts, limits: { pidsMax: 1 } })).toThrow(
      expect.objectContaining({
        code: 'CGROUP_CONTROLLER_OFF',
        errno: 'ENOENT',
        path: `${root}/pids/tsc/deep/abc/pids.max`,
      }),
    );
    expect(tree()).toEqual(before);
  });

  it('touches nothing when the plan is refused', () => {
    const facts = v1Facts('memory');
    const before = tree();
    const refused = (limits: object, controllers?: readonly ['pids']): unknown => {
      try {
        return createCgroup('/tsc/abc', { facts, limits, controllers });
      } catch (error) {
        return error;
      }
    };
    expect(refused({ pidsMax: 1 })).toMatchObject({ code: 'CGROUP_CONTROLLER_OFF' });
    expect(refused({}, ['pids'])).toMatchObject({ code: 'CGROUP_CONTROLLER_OFF' });
    expect(refused({ memoryMaxBytes: 0 })).toMatchObject({ code: 'CGROUP_LIMIT_INVALID' });
    expect(tree()).toEqual(before);
  });

  it('refuses a group that exists, and keeps it', () => {
    const facts = v1Facts('memory', 'pids');
    mkdirSync(`${root}/pids/abc`);
    expect(() => createCgroup('/abc', { facts })).toThrow(expect.objectContaining({ code: 'CGROUP_EXISTS' }));
    expect(tree()).toEqual(['memory', 'pids', 'pids/abc']);
  });

  it.each(['', '/', 'abc', '/a//b', '/a/../b', '/..', '/a/', '/a\nb', `/${'x'.repeat(256)}`])(
    'refuses the path %j',
    (path) => {
      const facts = v1Facts('memory');
      expect(() => createCgroup(path, { facts })).toThrow(expect.objectContaining({ code: 'CGROUP_PATH_INVALID' }));
      expect(() => openCgroup(path, { facts })).toThrow(expect.objectContaining({ code: 'CGROUP_PATH_INVALID' }));
    },
  );
});

describe('createCgroup on v2', () => {
  it('makes one directory and passes down the controllers that are not yet', () => {
    const facts = v2Facts('cpu io memory pids\n', 'memory\n');
    const cgroup = createCgroup('/abc', { facts });
    expect(cgroup.directories).toEqual([`${root}/abc`]);
    expect(readFileSync(`${root}/cgroup.subtree_control`, 'utf8').trim()).toBe('+pids +cpu +io');
    expect(cgroup.joinTargets()).toEqual([{ path: `${root}/abc/cgroup.procs`, data: '0' }]);
  });

  it('passes down nothing for a child without limits, so that its parent may have processes', () => {
    const child = createCgroup('/abc', { facts: v2Facts('memory pids\n') }).createChild('exec');
    expect(existsSync(`${root}/abc/exec`)).toBe(true);
    expect(child.joinTargets()).toEqual([{ path: `${root}/abc/exec/cgroup.procs`, data: '0' }]);
  });
});

describe('a child group', () => {
  it('has the freezer to itself on v1 and shares the rest', () => {
    const cgroup = createCgroup('/abc', { facts: v1Facts('memory', 'freezer') });
    const child = cgroup.createChild('exec');
    expect(child.path).toBe('/abc/exec');
    expect(child.directories).toEqual([`${root}/freezer/abc/exec`]);
    const joined = [`${root}/memory/abc/tasks`, `${root}/freezer/abc/exec/tasks`];
    expect(child.joinTargets().map(({ path }) => path)).toEqual(joined);
    expect(cgroup.openChild('exec').joinTargets()).toEqual(child.joinTargets());
  });

  it('is joined in both of two controllers that are mounted together', () => {
    const cgroup = createCgroup('/abc', { facts: v1Facts('cpu,cpuacct', 'freezer') });
    const child = cgroup.createChild('exec', { controllers: ['cpu'] });
    const joined = [`${root}/cpu,cpuacct/abc/exec/tasks`, `${root}/freezer/abc/exec/tasks`];
    expect(child.joinTargets().map(({ path }) => path)).toEqual(joined);
  });

  it('can neither leave its parent nor have a controller that the parent lacks', () => {
    const cgroup = createCgroup('/abc', { facts: v1Facts('freezer', 'cpuset') });
    expect(() => cgroup.createChild('../x')).toThrow(expect.objectContaining({ code: 'CGROUP_PATH_INVALID' }));
    expect(() => cgroup.createChild('x', { limits: { cpusetCpus: '0' } })).toThrow(
      expect.objectContaining({ code: 'CGROUP_CONTROLLER_OFF' }),
    );
    expect(() => cgroup.openChild('x')).toThrow(expect.objectContaining({ code: 'CGROUP_NOT_FOUND' }));
  });
});

describe('destroy', () => {
  it('removes the group, its children and, if asked, empty parents', async () => {
    const facts = v1Facts('memory', 'freezer');
    const [one, other] = ['/tsc/one', '/tsc/other'].map((path) => createCgroup(path, { facts }));
    one?.createChild('exec');
    await one?.destroy({ removeEmptyParents: true });
    expect(existsSync(`${root}/memory/tsc/one`)).toBe(false);
    expect(existsSync(`${root}/memory/tsc/other`)).toBe(true);
    await other?.destroy({ removeEmptyParents: true });
    await other?.destroy();
    expect(tree()).toEqual(['freezer', 'memory']);
  });

  it('gives up after its time, and at once when aborted', async () => {
    const cgroup = createCgroup('/abc', { facts: v1Facts('memory') });
    writeFileSync(`${root}/memory/abc/occupied`, '');
    await expect(cgroup.destroy({ timeoutMs: 5 })).rejects.toMatchObject({
      code: 'CGROUP_BUSY',
      message: 'cannot destroy cgroup /abc: not done after 5 ms',
    });
    const reason = new Error('never mind');
    await expect(cgroup.destroy({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const abort = new AbortController();
    const destroyed = cgroup.destroy({ signal: abort.signal });
    abort.abort(reason);
    await expect(destroyed).rejects.toBe(reason);
  });
});

describe('openCgroup', () => {
  it('finds the hierarchies that have the group', () => {
    const facts = v1Facts('memory', 'pids');
    mkdirSync(`${root}/pids/abc`);
    expect(openCgroup('/abc', { facts }).directories).toEqual([`${root}/pids/abc`]);
    expect(() => openCgroup('/other', { facts })).toThrow(expect.objectContaining({ code: 'CGROUP_NOT_FOUND' }));
  });

  it('knows which controllers a v2 group was passed down', () => {
    const facts = v2Facts('memory pids\n');
    mkdirSync(`${root}/abc`);
    writeFileSync(`${root}/abc/cgroup.controllers`, 'pids\n');
    writeFileSync(`${root}/abc/pids.max`, 'max\n');
    const cgroup = openCgroup('/abc', { facts });
    expect(() => cgroup.apply({ memoryMaxBytes: 4096 })).toThrow(
      expect.objectContaining({ code: 'CGROUP_CONTROLLER_OFF' }),
    );
    cgroup.apply({ pidsMax: 7 });
    expect(readFileSync(`${root}/abc/pids.max`, 'utf8').trim()).toMatch(/^7/);
  });
});

describe('apply', () => {
  it('writes back what it found when a later limit fails', () => {
    const facts = v1Facts('memory', 'pids');
    const cgroup = createCgroup('/abc', { facts });
    writeFileSync(`${root}/memory/abc/memory.limit_in_bytes`, '4096');
    expect(() => cgroup.apply({ memoryMaxBytes: 8192, pidsMax: 1 })).toThrow(
      expect.objectContaining({ code: 'CGROUP_CONTROLLER_OFF', path: `${root}/pids/abc/pids.max` }),
    );
    expect(readFileSync(`${root}/memory/abc/memory.limit_in_bytes`, 'utf8')).toBe('4096');
  });
});

it('reads pids of child groups too, but none that another pid namespace hides', () => {
  const cgroup = createCgroup('/abc', { facts: v1Facts('freezer') });
  cgroup.createChild('exec');
  writeFileSync(`${root}/freezer/abc/cgroup.procs`, '0\n12\n');
  writeFileSync(`${root}/freezer/abc/exec/cgroup.procs`, '13\n');
  expect(cgroup.pids()).toEqual([12, 13]);
  expect(cgroup.populated()).toBe(true);
});
