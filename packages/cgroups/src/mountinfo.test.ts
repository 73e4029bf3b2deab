import { describe, expect, it } from '@jest/globals';

import { parseCgroupMounts } from './mountinfo.ts';

describe('parseCgroupMounts', () => {
  it('reads both versions, co-mounted controllers and optional fields', () => {
    const text = [
      '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
      '33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct',
      '41 31 0:38 /docker/abc /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate',
      '',
    ].join('\n');
    expect(parseCgroupMounts(text)).toEqual([
      { version: 1, mountPoint: '/sys/fs/cgroup/cpu,cpuacct', root: '/', options: ['rw', 'cpu', 'cpuacct'] },
      { version: 2, mountPoint: '/sys/fs/cgroup/unified', root: '/docker/abc', options: ['rw', 'nsdelegate'] },
    ]);
  });

  it('undoes the octal escapes of a path', () => {
    const [mount] = parseCgroupMounts('1 2 0:3 / /my\\040cgroups\\134x rw - cgroup2 none rw');
    expect(mount?.mountPoint).toBe('/my cgroups\\x');
  });

  it('is not fooled by a file system that is only named so', () => {
    expect(parseCgroupMounts('1 2 0:3 / /cgroup rw - tmpfs cgroup rw,cpu')).toEqual([]);
  });
});
