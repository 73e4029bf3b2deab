import { AT_RECURSIVE, MS_SLAVE, OPEN_TREE_CLONE } from '@tsc/sys';
import type { Operation } from '@tsc/sys';
import { describe, expect, it } from '@jest/globals';

import type { OciMount } from '../oci-spec.ts';
import { compileMount } from './mounts.ts';
import type { SourceKind } from './mounts.ts';
import { Slots } from './slots.ts';

const compile = (mount: OciMount, kind?: SourceKind): readonly Operation[] =>
  compileMount({ root: 0, slots: new Slots(1) }, mount, kind)[1];

describe('compileMount', () => {
  it('configures, makes and attaches a file system in steps', () => {
    const options = ['ro', 'nosuid', 'noexec', 'size=1k', 'mode=700', 'noswap'];
    expect(compile({ destination: '/tmp/x', type: 'tmpfs', source: 'name', options })).toEqual([
      { op: 'fsopen', slot: 1, fstype: 'tmpfs' },
      { op: 'fsconfig', fs: 1, command: 1, key: 'source', value: 'name' },
      { op: 'fsconfig', fs: 1, command: 1, key: 'size', value: '1k' },
      { op: 'fsconfig', fs: 1, command: 1, key: 'mode', value: '700' },
      { op: 'fsconfig', fs: 1, command: 0, key: 'noswap' },
      { op: 'fsconfig', fs: 1, command: 6 },
      { op: 'fsmount', slot: 2, fs: 1, attributes: 1 | 2 | 8 },
      { op: 'close', slot: 1 },
      { op: 'resolve', slot: 3, root: 0, path: '/tmp/x', missing: 'make-directory', resolve: 0 },
      { op: 'moveMount', from: 2, to: 3 },
      { op: 'close', slot: 3 },
    ]);
  });

  it('clones a part of the host, with attributes and propagation of its own', () => {
    expect(compile({ destination: '/data', source: '/srv', options: ['rbind', 'ro', 'rslave'] })).toEqual([
      { op: 'openTree', slot: 1, path: '/srv', flags: OPEN_TREE_CLONE | AT_RECURSIVE },
      { op: 'mountSetattr', fd: 1, flags: AT_RECURSIVE, set: 1, clear: 0 },
      { op: 'mountSetattr', fd: 1, flags: AT_RECURSIVE, set: 0, clear: 0, propagation: MS_SLAVE },
      { op: 'resolve', slot: 2, root: 0, path: '/data', missing: 'make-directory', resolve: 0 },
      { op: 'moveMount', from: 1, to: 2 },
      { op: 'close', slot: 2 },
    ]);
    expect(compile({ destination: '/data', source: '/srv', options: ['bind'] }).map(({ op }) => op)).toEqual([
      'openTree',
      'resolve',
      'moveMount',
      'close',
    ]);
  });

  it('makes a file for a file, where there is nothing', () => {
    const hosts = { destination: '/etc/hosts', type: 'bind', source: '/run/hosts' };
    expect(compile(hosts, 'file')).toContainEqual(
      expect.objectContaining({ path: '/etc/hosts', missing: 'make-file' }),
    );
    expect(compile(hosts)).toContainEqual(expect.objectContaining({ path: '/etc/hosts', missing: 'make-directory' }));
  });

  it('follows no link of the image to where the file systems of the kernel go', () => {
    const follows = (destination: string): boolean =>
      compile({ destination, type: 'tmpfs' }).some(
        (operation) => operation.op === 'resolve' && operation.resolve === 0,
      );
    expect(['/proc', '/sys/fs/cgroup', '/dev', '/dev/shm'].map(follows)).toEqual([false, false, false, false]);
    expect(['/process', '/data/dev', '/etc/hosts'].map(follows)).toEqual([true, true, true]);
  });
});
