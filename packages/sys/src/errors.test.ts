import { describe, expect, it } from '@jest/globals';

import { owned, temporaryDirectory, thrownBy } from '../test/temporary-directory.ts';
import { hasCode, isSysError } from './errors.ts';
import { fcntl, F_GETFD, linkat, mkdirat, openat2, renameat2, statx } from './file.ts';
import { bind, AF_UNIX, SOCK_STREAM, sockaddr_un, socket } from './socket.ts';

describe('a failed system call', () => {
  it('says which call, on what, and why', () => {
    using dir = temporaryDirectory();
    mkdirat(dir.fd, 'there', 0o755);
    const error = thrownBy(() => {
      mkdirat(dir.fd, 'there', 0o755);
    });
    expect(isSysError(error)).toBe(true);
    expect(hasCode(error, 'ENOENT', 'EEXIST')).toBe(true);
    expect(error).toMatchObject({
      name: 'SysError',
      code: 'EEXIST',
      errno: 17,
      syscall: 'mkdirat',
      path: 'there',
      message: 'mkdirat there: EEXIST: file exists',
    });
  });

  it('has no path when the call has none', () => {
    const error = thrownBy(() => fcntl(-1, F_GETFD));
    expect(error).toMatchObject({ code: 'EBADF', syscall: 'fcntl', message: 'fcntl: EBADF: bad file descriptor' });
    expect(error).not.toHaveProperty('path');
  });

  it('names the first of two paths', () => {
    using dir = temporaryDirectory();
    for (const call of [linkat, renameat2]) {
      const error = thrownBy(() => {
        call(dir.fd, 'from', dir.fd, 'to', 0);
      });
      expect(error).toMatchObject({ code: 'ENOENT', path: 'from' });
    }
  });

  it('names the path of a socket', () => {
    using unix = owned(socket(AF_UNIX, SOCK_STREAM, 0));
    const error = thrownBy(() => {
      bind(unix.fd, sockaddr_un('/nowhere/at/all'));
    });
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'bind', path: '/nowhere/at/all' });
  });
});

describe('an argument that does not fit', () => {
  const cases: [string, () => unknown][] = [
    ['a fraction', () => openat2(0.5, '.', { flags: 0 })],
    ['a descriptor that would wrap to 0', () => statx(2 ** 32, '.', 0)],
    ['a missing number', () => fcntl(undefined as unknown as number, F_GETFD)],
    ['no path', () => statx(-100, null as unknown as string, 0)],
    ['a name that the kernel would cut at NUL', () => statx(-100, '.\0/etc', 0)],
    ['an address that is no sockaddr', () => bind.call(null, 0, new Uint8Array(1))],
  ];
  it.each(cases)('%s is a TypeError', (_, call) => {
    expect(thrownBy(call)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });
});
