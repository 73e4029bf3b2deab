import { closeSync, readFileSync, statSync, writeFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { owned, temporaryDirectory, thrownBy } from '../test/temporary-directory.ts';
import { fcntl, F_GETFD, memfd_create } from './file.ts';
import * as sys from './socket.ts';

function pair(type: number): Disposable & { readonly left: number; readonly right: number } {
  const [left, right] = sys.socketpair(sys.AF_UNIX, type, 0);
  const close = (): void => {
    closeSync(left);
    closeSync(right);
  };
  return { left, right, [Symbol.dispose]: close };
}

describe('messages', () => {
  it('carry bytes and end with the stream', () => {
    const [left, right] = sys.socketpair(sys.AF_UNIX, sys.SOCK_STREAM, 0);
    using end = owned(right);
    expect(sys.sendmsg(left, Buffer.from('hello'))).toBe(5);
    expect(sys.recvmsg(end.fd, 64).data.toString()).toBe('hello');
    closeSync(left);
    expect(sys.recvmsg(end.fd, 64).data).toHaveLength(0);
    expect(thrownBy(() => sys.sendmsg(end.fd, Buffer.from('x')))).toMatchObject({ code: 'EPIPE', syscall: 'sendmsg' });
  });

  it('carry up to 64 descriptors, closed on exec', () => {
    using ends = pair(sys.SOCK_SEQPACKET);
    using file = owned(memfd_create('passed', 0));
    writeFileSync(file.fd, 'through the socket');
    sys.sendmsg(ends.left, Buffer.from('.'), new Array<number>(64).fill(file.fd));
    const { data, fds } = sys.recvmsg(ends.right, 16);
    expect(data.toString()).toBe('.');
    expect(fds).toHaveLength(64);
    for (const fd of fds) {
      expect(fcntl(fd, F_GETFD)).toBe(1);
      expect(statSync(`/proc/self/fd/${String(fd)}`).size).toBe(18);
    }
    expect(readFileSync(`/proc/self/fd/${String(fds[63])}`, 'utf8')).toBe('through the socket');
    fds.forEach((fd) => {
      closeSync(fd);
    });
    const tooMany = new Array<number>(65).fill(file.fd);
    expect(thrownBy(() => sys.sendmsg(ends.left, data, tooMany))).toMatchObject({ name: 'TypeError' });
  });

  it('say when they were cut', () => {
    using ends = pair(sys.SOCK_DGRAM);
    sys.sendmsg(ends.left, Buffer.from('too long'));
    const { data, flags } = sys.recvmsg(ends.right, 3);
    expect(data.toString()).toBe('too');
    expect(flags & sys.MSG_TRUNC).toBe(sys.MSG_TRUNC);
  });

  it('are not waited for with MSG_DONTWAIT', () => {
    using ends = pair(sys.SOCK_STREAM);
    expect(thrownBy(() => sys.recvmsg(ends.left, 16, sys.MSG_DONTWAIT))).toMatchObject({ code: 'EAGAIN' });
  });
});

describe('sockets', () => {
  it('meet at a path', () => {
    using dir = temporaryDirectory();
    const address = sys.sockaddr_un(`/proc/self/fd/${String(dir.fd)}/socket`);
    using server = owned(sys.socket(sys.AF_UNIX, sys.SOCK_STREAM, 0));
    using client = owned(sys.socket(sys.AF_UNIX, sys.SOCK_STREAM, 0));
    sys.bind(server.fd, address);
    expect(
      thrownBy(() => {
        sys.connect(client.fd, address);
      }),
    ).toMatchObject({ code: 'ECONNREFUSED' });
    sys.listen(server.fd, 1);
    sys.connect(client.fd, address);
    const peer = sys.getsockopt(client.fd, sys.SOL_SOCKET, sys.SO_PEERCRED, 12);
    expect(peer.readInt32LE(0)).toBe(process.pid);
  });

  it('take options as a number or as bytes', () => {
    using udp = owned(sys.socket(sys.AF_INET, sys.SOCK_DGRAM, 0));
    const reuse = (): number => sys.getsockopt(udp.fd, sys.SOL_SOCKET, sys.SO_REUSEADDR, 4).readInt32LE();
    sys.setsockopt(udp.fd, sys.SOL_SOCKET, sys.SO_REUSEADDR, 1);
    expect(reuse()).toBe(1);
    sys.setsockopt(udp.fd, sys.SOL_SOCKET, sys.SO_REUSEADDR, Buffer.alloc(4));
    expect(reuse()).toBe(0);
  });

  it('bind to internet and netlink addresses', () => {
    using udp = owned(sys.socket(sys.AF_INET, sys.SOCK_DGRAM, 0));
    sys.bind(udp.fd, sys.sockaddr_in('127.0.0.1', 0));
    using route = owned(sys.socket(sys.AF_NETLINK, sys.SOCK_RAW, sys.NETLINK_ROUTE));
    sys.bind(route.fd, sys.sockaddr_nl());
    const socketLink = statSync(`/proc/self/fd/${String(route.fd)}`);
    expect(socketLink.isSocket()).toBe(true);
  });
});
