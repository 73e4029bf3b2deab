import { describe, expect, test } from '@jest/globals';

import type { LinuxSeccomp } from '../oci-spec.ts';
import { parseDockerProfile, type DockerProfileFacts } from './docker-profile.ts';

const facts: DockerProfileFacts = {
  capabilities: ['CAP_SYS_CHROOT'],
  arch: 'x86_64',
  kernelVersion: '6.18.44-generic',
};

const parse = (profile: object, changed: Partial<DockerProfileFacts> = {}): LinuxSeccomp =>
  parseDockerProfile(JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', ...profile }), { ...facts, ...changed });

const names = (rule: object, changed: Partial<DockerProfileFacts> = {}): readonly string[] =>
  parse({ syscalls: [{ names: ['chroot'], action: 'SCMP_ACT_ALLOW', ...rule }] }, changed).syscalls?.flatMap(
    (syscall) => syscall.names,
  ) ?? [];

describe('a profile in Docker’s format', () => {
  test('gives the architecture of the machine and those below it', () => {
    const archMap = [
      { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
      { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    ];
    expect(parse({ archMap }).architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']);
    expect(parse({ archMap }, { arch: 'aarch64' }).architectures).toEqual(['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
    expect(parse({ architectures: ['SCMP_ARCH_X86'] }).architectures).toEqual(['SCMP_ARCH_X86']);
    expect(parse({}).architectures).toBeUndefined();
  });

  test.each([
    [{}, true],
    [{ includes: { caps: ['CAP_SYS_CHROOT'] } }, true],
    [{ includes: { caps: ['CAP_SYS_CHROOT', 'CAP_BPF'] } }, false],
    [{ excludes: { caps: ['CAP_SYS_CHROOT', 'CAP_BPF'] } }, false],
    [{ excludes: { caps: ['CAP_BPF'] } }, true],
    [{ includes: { arches: ['arm64', 'amd64'] } }, true],
    [{ includes: { arches: ['arm64'] } }, false],
    [{ excludes: { arches: ['amd64'] } }, false],
    [{ includes: { minKernel: '6.18' } }, true],
    [{ includes: { minKernel: '6.19' } }, false],
    [{ includes: { minKernel: '7.0' } }, false],
    [{ includes: { minKernel: '4.99' } }, true],
    [{ excludes: { minKernel: '4.8' } }, false],
    [{ includes: {}, excludes: null, args: null, comment: 'as Docker writes it' }, true],
  ])('a rule with %j is there: %s', (rule, there) => {
    expect(names(rule)).toEqual(there ? ['chroot'] : []);
  });

  test('keeps what else it says, exactly', () => {
    const json = `{
      "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
      "syscalls": [{ "name": "clone", "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
        "args": [{ "index": 2, "value": 18446744073709551615, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ" }] }] }`;
    expect(parseDockerProfile(json, facts)).toEqual({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      flags: ['SECCOMP_FILTER_FLAG_LOG'],
      syscalls: [
        {
          names: ['clone'],
          action: 'SCMP_ACT_ERRNO',
          errnoRet: 1,
          args: [{ index: 2, value: 18446744073709551615n, valueTwo: 7, op: 'SCMP_CMP_MASKED_EQ' }],
        },
      ],
    });
  });

  test.each([
    [{ defaultAction: null }, /defaultAction: missing/],
    [{ syscalls: {} }, /syscalls: not a list/],
    [{ syscalls: ['read'] }, /syscalls\[0\]: not an object/],
    [{ syscalls: [{ names: ['read'] }] }, /syscalls\[0\]\.action: missing/],
    [{ syscalls: [{ name: 'a', names: ['b'], action: 'SCMP_ACT_ALLOW' }] }, /both "name" and "names"/],
    [{ syscalls: [{ names: [1], action: 'SCMP_ACT_ALLOW' }] }, /syscalls\[0\]\.names: not a string/],
    [{ syscalls: [{ names: ['a'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0.5, op: 'x' }] }] }, /args\[0\]\.index/],
    [{ syscalls: [{ names: ['a'], includes: { minKernel: '4' } }] }, /minKernel/],
    [{ architectures: ['SCMP_ARCH_X86'], archMap: [{ architecture: 'SCMP_ARCH_X86_64' }] }, /use one of them/],
  ])('refused: %j', (profile, message) => {
    expect(() => parse(profile)).toThrow(message);
    expect(() => parse(profile)).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_SECCOMP' }));
  });

  test('refused: what is not JSON', () => {
    expect(() => parseDockerProfile('unconfined', facts)).toThrow(/not JSON/);
  });
});
