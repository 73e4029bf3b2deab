import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { allCapabilities, defaultCapabilities } from '../capabilities.ts';
import { abisOf, seccompArch } from './architecture.ts';
import { compileSeccomp } from './compile.ts';
import { defaultSeccompProfile } from './default-profile.ts';
import { parseDockerProfile } from './docker-profile.ts';

/**
 * Loads the filter in the file that is its first argument, and then makes the calls that its other arguments name, as
 * `number,first,second`. Prints the errno of each, 0 for success. A leading `i` calls through the 32-bit gate of x86.
 */
const WITNESS = String.raw`
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long gate32(long number, long first) {
#ifdef __x86_64__
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  return (int)result;
#else
  (void)number;
  (void)first;
  return -ENOSYS;
#endif
}

int main(int argc, char **argv) {
  static struct sock_filter code[4096];
  FILE *file = fopen(argv[1], "r");
  if (!file) return 2;
  struct sock_fprog program = {.len = fread(code, sizeof *code, 4096, file), .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 3;
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return 4;
  for (int i = 2; i < argc; i++) {
    char *end = argv[i];
    int narrow = *end == 'i';
    long number = strtoul(end + narrow, &end, 0);
    unsigned long args[2] = {0, 0};
    for (int n = 0; *end == ',' && n < 2; n++) args[n] = strtoul(end + 1, &end, 0);
    errno = 0;
    long result = narrow ? gate32(number, args[0]) : syscall(number, args[0], args[1], 0, 0, 0, 0);
    if (narrow && result < 0) errno = -result;
    printf("%d\n", result < 0 ? errno : 0);
    fflush(stdout);
  }
  return 0;
}`;

const EPERM = 1;
const EBADF = 9;
const EFAULT = 14;
const EINVAL = 22;
const ENOSYS = 38;
const CLONE_NEWUSER = 0x1000_0000;

const arch = seccompArch(process.arch) ?? 'x86_64';
const [native, narrow] = abisOf[arch];

const call = (name: string, ...args: readonly (number | bigint)[]): string =>
  [native.numbers().get(name) ?? -1, ...args].map(String).join();

describe('the kernel takes a compiled filter and does what it says', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsc-seccomp-'));
    writeFileSync(join(dir, 'witness.c'), WITNESS);
    execFileSync('cc', ['-O1', '-Wall', '-o', join(dir, 'witness'), join(dir, 'witness.c')]);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const witness = (filter: Uint8Array, calls: readonly string[]): SpawnSyncReturns<string> => {
    writeFileSync(join(dir, 'filter'), filter);
    return spawnSync(join(dir, 'witness'), [join(dir, 'filter'), ...calls], { encoding: 'utf8' });
  };
  const errnos = (filter: Uint8Array, calls: Readonly<Record<string, string>>): Record<string, number> => {
    const { stdout, status, signal } = witness(filter, Object.values(calls));
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    const lines = stdout.trim().split('\n').map(Number);
    return Object.fromEntries(Object.keys(calls).map((name, index) => [name, lines[index] ?? -1]));
  };

  const filter = (capabilities: readonly string[]): Uint8Array =>
    compileSeccomp(defaultSeccompProfile({ capabilities }), { arch });

  test('the default filter denies the way into the kernel that containers have no business with', () => {
    const calls = {
      unshareUser: call('unshare', CLONE_NEWUSER),
      cloneUser: call('clone', CLONE_NEWUSER | 17),
      clone3: call('clone3'),
      algorithms: call('socket', 38, 5),
      algorithmsBehindHighBits: call('socket', 2n ** 32n + 38n, 5),
      hypervisor: call('socket', 40, 1),
      keyctl: call('keyctl', 0),
      bpf: call('bpf', 0),
      userfaultfd: call('userfaultfd', 0),
      ioUring: call('io_uring_setup', 1),
      personality: call('personality', 0x40_0000),
      mount: call('mount'),
      newerThanTheProfile: call('file_getattr'),
      skipped: '0xffffffff',
    };
    expect(errnos(filter(defaultCapabilities), calls)).toEqual({
      ...Object.fromEntries(Object.keys(calls).map((name) => [name, EPERM])),
      clone3: ENOSYS,
      newerThanTheProfile: ENOSYS,
      skipped: ENOSYS,
    });
  });

  test('and leaves a program what it needs', () => {
    const calls = {
      getpid: call('getpid'),
      socketUnix: call('socket', 1, 1),
      socketNetlink: call('socket', 16, 3),
      personality: call('personality', 0xffff_ffff),
      ptrace: call('ptrace', 0),
    };
    expect(errnos(filter(defaultCapabilities), calls)).toEqual(
      Object.fromEntries(Object.keys(calls).map((name) => [name, 0])),
    );
  });

  test('a capability opens its own calls', () => {
    // What gets past the filter fails on the arguments that we give it, as it does for any user.
    const calls = {
      clone3: call('clone3'),
      setns: call('setns', 2n ** 32n - 1n),
      openTree: call('open_tree', 2n ** 32n - 1n),
    };
    const passed = errnos(filter(allCapabilities), calls);
    expect(passed).toEqual({ clone3: EINVAL, setns: EBADF, openTree: EFAULT });
    expect(errnos(filter([]), calls)).toEqual({ clone3: ENOSYS, setns: EPERM, openTree: EPERM });
  });

  test('32-bit programs live under the same rules, where they are let in', () => {
    const profile = defaultSeccompProfile({ capabilities: defaultCapabilities });
    const [getpid, keyctl] = ['getpid', 'keyctl'].map((name) => narrow?.numbers().get(name) ?? -1);
    const calls = arch === 'x86_64' ? [`i${String(getpid)}`, `i${String(keyctl)}`] : [];
    expect(witness(compileSeccomp(profile, { arch }), calls).stdout).toBe(arch === 'x86_64' ? '0\n1\n' : '');
    const wideOnly = compileSeccomp({ ...profile, architectures: [native.name] }, { arch });
    const { signal } = witness(wideOnly, calls);
    expect(signal).toBe(arch === 'x86_64' ? 'SIGSYS' : null);
  });

  test('x32 kills where it is not listed', () => {
    const profile = { ...defaultSeccompProfile({ capabilities: [] }), architectures: [native.name] };
    const { signal } = witness(compileSeccomp(profile, { arch }), [String(0x4000_0000 + 39)]);
    expect(signal).toBe(arch === 'x86_64' ? 'SIGSYS' : null);
  });

  test("a user's own profile in Docker's format", () => {
    const json = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['getpid'], action: 'SCMP_ACT_ERRNO', errnoRet: 99 },
        { names: ['alarm', 'getitimer'], action: 'SCMP_ACT_ERRNO', errnoRet: 98, includes: { caps: ['CAP_SYS_TIME'] } },
        { name: 'umask', action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 0o22, op: 'SCMP_CMP_GT' }] },
      ],
    });
    const profile = parseDockerProfile(json, { capabilities: [], arch, kernelVersion: '6.1.0' });
    const calls = {
      getpid: call('getpid'),
      getitimer: call('getitimer'),
      low: call('umask', 2),
      high: call('umask', 0o77),
    };
    expect(errnos(compileSeccomp(profile, { arch }), calls)).toEqual({
      getpid: 99,
      getitimer: EFAULT,
      low: 0,
      high: 1,
    });
  });
});

describe('system call numbers', () => {
  const numbersOf = (header: string): ReadonlyMap<string, number> => {
    const macros = execFileSync('cc', ['-E', '-dM', '-x', 'c', '-'], {
      input: `#include <${header}>`,
      encoding: 'utf8',
    });
    const found = [...macros.matchAll(/^#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$/gm)];
    return new Map(found.map(([, name = '', number]) => [name, Number(number)]));
  };
  const headers = arch === 'x86_64' ? ['asm/unistd_64.h', 'asm/unistd_32.h', 'asm/unistd_x32.h'] : ['asm/unistd.h'];

  test.each(headers.map((header, index) => [header, abisOf[arch][index]] as const))(
    'are those of %s',
    (header, abi) => {
      const wanted = numbersOf(header);
      expect(wanted.size).toBeGreaterThan(250);
      const ours = abi?.numbers() ?? new Map<string, number>();
      const differing = [...wanted].filter(([name, number]) => ours.get(name) !== number);
      expect(differing.filter(([name]) => !['syscalls', 'arch_specific_syscall'].includes(name))).toEqual([]);
    },
  );

  test.each(Object.values(abisOf).flat())('no two calls share one: $name', ({ numbers }) => {
    expect(new Set(numbers().values()).size).toBe(numbers().size);
  });

  test('the newest are the same everywhere', () => {
    for (const abi of Object.values(abisOf).flat()) {
      const numbers = [
        'clone3',
        'cachestat',
        'fchmodat2',
        'statmount',
        'mseal',
        'setxattrat',
        'file_getattr',
        'listns',
      ];
      expect(numbers.map((name) => abi.numbers().get(name))).toEqual([435, 451, 452, 457, 462, 463, 468, 470]);
    }
  });
});
