import { readlinkSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { listNamespaces, parsePins } from './list.ts';

describe('listNamespaces', () => {
  it('finds the namespaces of this process', () => {
    const ours = listNamespaces().filter(({ pids }) => pids.includes(process.pid));
    for (const type of ['ipc', 'mnt', 'net', 'pid', 'user', 'uts']) {
      const links = ours.filter((listed) => listed.type === type).map(({ inode }) => `${type}:[${inode}]`);
      expect(links).toEqual([readlinkSync(`/proc/self/ns/${type}`)]);
    }
  });

  it('keeps to the types it is asked for', () => {
    expect(new Set(listNamespaces({ types: ['uts', 'net'] }).map(({ type }) => type))).toEqual(new Set(['net', 'uts']));
    expect(listNamespaces({ types: [] })).toEqual([]);
  });
});

describe('parsePins', () => {
  it('finds bind mounts of namespaces among others', () => {
    const mountinfo = [
      '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
      '48 27 0:4 net:[4026532201] /run/netns/blue rw shared:7 - nsfs nsfs rw',
      '49 27 0:4 uts:[4026532202] /run/with\\040space\\134 rw - nsfs nsfs rw',
      '',
    ].join('\n');
    expect(parsePins(mountinfo)).toEqual([
      { link: 'net:[4026532201]', path: '/run/netns/blue' },
      { link: 'uts:[4026532202]', path: '/run/with space\\' },
    ]);
  });
});
