import { closeSync, openSync, readlinkSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import * as sys from '../src/index.ts';
import { owned, thrownBy } from './temporary-directory.ts';

const linkOf = (fd: number): string => readlinkSync(`/proc/self/fd/${String(fd)}`);
const ownNamespaces = (): string[] =>
  ['mnt', 'cgroup', 'uts', 'ipc', 'net'].map((type) => readlinkSync(`/proc/thread-self/ns/${type}`));

describeRoot('unshare', () => {
  it('makes namespaces and leaves Node in its own', async () => {
    const before = ownNamespaces();
    const fds = await sys.unshare(
      sys.CLONE_NEWNET | sys.CLONE_NEWIPC | sys.CLONE_NEWUTS | sys.CLONE_NEWCGROUP | sys.CLONE_NEWNS,
    );
    using cleanup = new DisposableStack();
    for (const fd of fds) cleanup.adopt(fd, closeSync);
    const links = fds.map(linkOf);
    expect(links.map((link) => link.split(':')[0])).toEqual(['mnt', 'cgroup', 'uts', 'ipc', 'net']);
    expect(ownNamespaces()).toEqual(before);
    expect(links.filter((link) => before.includes(link))).toEqual([]);
    expect(fds.map((fd) => sys.fcntl(fd, sys.F_GETFD))).toEqual([1, 1, 1, 1, 1]);
  });

  it('opens what it made before a failure for nobody', async () => {
    // The new pid namespace can't be opened while it has no process; the network namespace comes after it.
    await expect(sys.unshare(sys.CLONE_NEWUTS | sys.CLONE_NEWPID | sys.CLONE_NEWNET)).rejects.toMatchObject({
      syscall: 'open',
      path: '/proc/thread-self/ns/pid_for_children',
    });
  });

  it('works from many calls at once', async () => {
    const results = await Promise.all(Array.from({ length: 16 }, () => sys.unshare(sys.CLONE_NEWUTS)));
    const fds = results.flat();
    using cleanup = new DisposableStack();
    for (const fd of fds) cleanup.adopt(fd, closeSync);
    expect(new Set(fds.map(linkOf)).size).toBe(16);
  });
});

describeRoot('socket_in_netns', () => {
  it('opens a socket that lives in the namespace', async () => {
    const [fd = -1] = await sys.unshare(sys.CLONE_NEWNET);
    using netns = owned(fd);
    using inside = owned(sys.socket_in_netns(netns.fd, sys.AF_INET, sys.SOCK_DGRAM, 0));
    using outside = owned(sys.socket(sys.AF_INET, sys.SOCK_DGRAM, 0));
    // The loopback device is down in a fresh namespace, as its flags (SIOCGIFFLAGS) tell.
    const isUp = (socket: number): boolean => {
      const ifreq = Buffer.alloc(40);
      ifreq.write('lo');
      sys.ioctl(socket, 0x8913, ifreq);
      return (ifreq.readUInt16LE(16) & 1) === 1;
    };
    expect([isUp(inside.fd), isUp(outside.fd)]).toEqual([false, true]);
    expect(sys.fcntl(inside.fd, sys.F_GETFD)).toBe(1);
  });

  it('says which step failed', () => {
    using uts = owned(openSync('/proc/self/ns/uts', 'r'));
    const open = (fd: number, domain: number): unknown =>
      thrownBy(() => sys.socket_in_netns(fd, domain, sys.SOCK_DGRAM, 0));
    using net = owned(openSync('/proc/self/ns/net', 'r'));
    expect(open(uts.fd, sys.AF_INET)).toMatchObject({ syscall: 'setns', code: 'EINVAL' });
    expect(open(net.fd, 9999)).toMatchObject({ syscall: 'socket', code: 'EAFNOSUPPORT' });
  });
});
