import { describe, expect, test } from '@jest/globals';

import { allCapabilities, defaultCapabilities } from '../capabilities.ts';
import { seccompFlags } from './action.ts';
import { compileSeccomp } from './compile.ts';
import { defaultSeccompProfile } from './default-profile.ts';

function allowed(capabilities: readonly string[]): ReadonlySet<string> {
  const rules = defaultSeccompProfile({ capabilities }).syscalls ?? [];
  return new Set(
    rules.filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && args === undefined).flatMap(({ names }) => names),
  );
}

describe('the default profile', () => {
  test('never allows what has no capability that would guard it, or was a way out too often', () => {
    const names = allowed(allCapabilities);
    const never = ['add_key', 'keyctl', 'request_key', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'];
    const nor = [
      'userfaultfd',
      'kexec_load',
      'kexec_file_load',
      'swapon',
      'swapoff',
      'pivot_root',
      'nfsservctl',
      'ustat',
    ];
    expect([...never, ...nor, 'socket', 'personality', 'move_pages'].filter((name) => names.has(name))).toEqual([]);
  });

  test.each([
    [
      'CAP_SYS_ADMIN',
      ['mount', 'umount2', 'unshare', 'setns', 'clone', 'clone3', 'bpf', 'fsopen', 'open_tree', 'syslog'],
    ],
    ['CAP_SYS_CHROOT', ['chroot']],
    ['CAP_SYS_BOOT', ['reboot']],
    ['CAP_SYS_PTRACE', ['kcmp', 'pidfd_getfd', 'process_madvise']],
    ['CAP_SYS_TIME', ['clock_settime', 'settimeofday', 'stime']],
    ['CAP_SYS_NICE', ['mbind', 'set_mempolicy_home_node']],
    ['CAP_SYS_MODULE', ['init_module', 'finit_module', 'delete_module']],
    ['CAP_DAC_READ_SEARCH', ['open_by_handle_at']],
    ['CAP_BPF', ['bpf']],
    ['CAP_PERFMON', ['perf_event_open']],
    ['CAP_SYSLOG', ['syslog']],
  ])('%s opens %j, and nothing does without it', (capability, names) => {
    const [without, withIt] = [allowed([]), allowed([capability])];
    expect(names.filter((name) => without.has(name))).toEqual([]);
    expect(names.filter((name) => !withIt.has(name))).toEqual([]);
  });

  test('knows every name that it uses, and is as long as ever', () => {
    const unknown: string[] = [];
    const profile = defaultSeccompProfile({ capabilities: allCapabilities });
    compileSeccomp(profile, { arch: 'x86_64', onUnknownSyscall: (name) => unknown.push(name) });
    expect(unknown).toEqual([]);
    expect(allowed(defaultCapabilities).size).toBeGreaterThan(360);
  });

  test('lists the architectures of one machine, or of all', () => {
    const one = defaultSeccompProfile({ capabilities: [], arch: 'aarch64' });
    expect(one.architectures).toEqual(['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
    expect(defaultSeccompProfile({ capabilities: [] }).architectures).toHaveLength(5);
  });
});

describe('flags', () => {
  test('lift the speculation mitigation unless the profile says what it wants', () => {
    expect(seccompFlags({})).toBe(4);
    expect(seccompFlags({ flags: [] })).toBe(0);
    expect(seccompFlags({ flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC'] })).toBe(3);
  });

  test('are refused when they are none, or are for notifications', () => {
    expect(() => seccompFlags({ flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'] })).toThrow(/WAIT_KILLABLE/);
  });
});
