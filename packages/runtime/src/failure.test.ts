import type { Operation } from '@tsc/sys';
import { describe, expect, it } from '@jest/globals';

import { startFailure } from './failure.ts';

const errnos = {
  EPERM: 1,
  ENOENT: 2,
  E2BIG: 7,
  ENOEXEC: 8,
  EACCES: 13,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EPROTO: 71,
};

const failureOf = (errno: keyof typeof errnos, ...operations: readonly [Operation, ...Operation[]]): object => {
  const { code, message, errno: name } = startFailure({ inherited: 0, operations }, { index: 0, errno: errnos[errno] });
  return { code, message, errno: name };
};
const exec = (command: string): Operation => ({
  op: 'exec',
  candidates: [],
  argv: [command, 'x'],
  envp: [],
  dieWithMonitor: true,
});

describe('a failed exec', () => {
  it.each([
    ['sh', 'ENOENT', 'RUNTIME_COMMAND_NOT_FOUND', 'exec: "sh": executable file not found in $PATH'],
    ['/bin/sh', 'ENOENT', 'RUNTIME_COMMAND_NOT_FOUND', 'exec: "/bin/sh": no such file or directory'],
    ['/etc/passwd/x', 'ENOTDIR', 'RUNTIME_COMMAND_NOT_FOUND', 'exec: "/etc/passwd/x": no such file or directory'],
    ['/etc', 'EISDIR', 'RUNTIME_COMMAND_NOT_EXECUTABLE', 'exec: "/etc": is a directory'],
    ['x"y', 'EACCES', 'RUNTIME_COMMAND_NOT_EXECUTABLE', 'exec: "x\\"y": permission denied'],
    ['sh', 'ENOEXEC', 'RUNTIME_COMMAND_NOT_EXECUTABLE', 'exec: "sh": exec format error'],
    ['sh', 'E2BIG', 'RUNTIME_START_FAILED', 'exec: "sh": argument list too long'],
  ] as const)('of %s with %s is told as people know it', (command, errno, code, message) => {
    expect(failureOf(errno, exec(command))).toEqual({ code, message, errno });
  });
});

describe('another failed step', () => {
  const resolve: Operation = { op: 'resolve', slot: 5, root: 0, path: '/data', missing: 'make-directory' };

  it.each<[string, Operation]>([
    ['write "0" to /c/tasks', { op: 'writeFile', path: '/c/tasks', data: '0' }],
    ['open /x', { op: 'open', slot: 1, path: '/x', flags: 0 }],
    ['mask /proc/keys', { op: 'mask', root: 0, nullDevice: 1, path: '/proc/keys' }],
    ['mknodat null', { op: 'mknodat', dir: 0, path: 'null', mode: 0, major: 1, minor: 3 }],
    ['mount /', { op: 'mount', target: '/', flags: 0 }],
    ['chdir to cwd ("/no")', { op: 'chdir', path: '/no' }],
    ['set resource limit 7 to 5:18446744073709551615', { op: 'prlimit', resource: 7, soft: 5n, hard: 2n ** 64n - 1n }],
    ['clone', { op: 'clone', flags: 0 }],
    ['seccomp', { op: 'seccomp', flags: 0, filter: new Uint8Array(0) }],
  ])('says what it was: %s', (what, operation) => {
    expect(failureOf('EPERM', operation)).toEqual({
      code: 'RUNTIME_START_FAILED',
      message: `cannot ${what}: EPERM: operation not permitted`,
      errno: 'EPERM',
    });
  });

  it.each<[string, Operation]>([
    ['fsopen zfs', { op: 'fsopen', slot: 1, fstype: 'zfs' }],
    ['mount option size=x', { op: 'fsconfig', fs: 1, command: 1, key: 'size', value: 'x' }],
    ['mount option noswap', { op: 'fsconfig', fs: 1, command: 0, key: 'noswap' }],
    ['create the file system', { op: 'fsconfig', fs: 1, command: 6 }],
    ['openTree /srv', { op: 'openTree', slot: 1, path: '/srv', flags: 0 }],
  ])('of a mount says for which place: %s', (what, operation) => {
    expect(failureOf('EINVAL', operation, resolve)).toMatchObject({
      message: `cannot ${what} for the mount on /data: EINVAL: invalid argument`,
    });
  });

  it('that attaches a mount names the place before it', () => {
    const operations = [resolve, { op: 'moveMount', from: 1, to: 5 }] as const;
    expect(startFailure({ inherited: 0, operations }, { index: 1, errno: errnos.EINVAL }).message).toBe(
      'cannot attach for the mount on /data: EINVAL: invalid argument (a directory goes on a directory, a file on a file)',
    );
  });

  it('that is not in the program, or has an errno that nobody knows, is told all the same', () => {
    expect(startFailure({ inherited: 0, operations: [] }, { index: 4_294_967_295, errno: errnos.EPROTO }).message).toBe(
      'cannot carry out the start program: EPROTO: protocol error',
    );
    expect(startFailure({ inherited: 0, operations: [{ op: 'keyring' }] }, { index: 0, errno: 4000 }).message).toBe(
      'cannot keyring: errno 4000: unknown error',
    );
  });

  it('does not quote long data', () => {
    const { message } = startFailure(
      { inherited: 0, operations: [{ op: 'writeFile', path: '/x', data: 'y'.repeat(100_000) }] },
      { index: 0, errno: 1 },
    );
    expect(message.length).toBeLessThan(200);
  });
});
