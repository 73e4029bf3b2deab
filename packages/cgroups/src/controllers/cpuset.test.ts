import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { inheritCpusetV1, planCpuset } from './cpuset.ts';

const group = { version: 2, directory: '/v2' } as const;

it('pins to lists of CPUs and memory nodes', () => {
  expect(planCpuset({ cpusetCpus: '0-3,7', cpusetMems: '0' }, group)).toMatchObject([
    { path: '/v2/cpuset.cpus', data: '0-3,7' },
    { path: '/v2/cpuset.mems', data: '0' },
  ]);
});

it.each(['', '0-', 'all', '0,\n1', '0 1'])('refuses the list %j', (cpusetCpus) => {
  expect(() => planCpuset({ cpusetCpus }, group)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_INVALID' }));
});

it('fills in empty v1 groups from the nearest parent that is not', () => {
  const root = mkdtempSync(join(tmpdir(), 'cgroup-cpuset-'));
  const write = (path: string, cpus: string): void => {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, 'cpuset.cpus'), cpus);
    writeFileSync(join(root, path, 'cpuset.mems'), '0\n');
  };
  write('', '0-7\n');
  write('a', '0-3\n');
  write('a/b', '\n');
  write('a/b/c', '\n');
  inheritCpusetV1(root, [`${root}/a`, `${root}/a/b`, `${root}/a/b/c`]);
  const cpus = ['a', 'a/b', 'a/b/c'].map((path) => readFileSync(join(root, path, 'cpuset.cpus'), 'utf8').trim());
  rmSync(root, { recursive: true });
  expect(cpus).toEqual(['0-3', '0-3', '0-3']);
});
