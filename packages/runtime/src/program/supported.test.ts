import { describe, expect, it } from '@jest/globals';

import { defaultSpec } from '../default-spec.ts';
import type { OciLinux, OciMount, OciProcess, OciSpec } from '../oci-spec.ts';
import { compileStart } from './start.ts';

const spec = defaultSpec({ args: ['sh'] });
const compile = (changed: OciSpec): unknown =>
  compileStart(changed, { inherited: 1, rootfs: 0, scratchDir: '/s', keep: {} });
const refused = (message: string): Error =>
  expect.objectContaining({ code: 'RUNTIME_INVALID_SPEC', message }) as unknown as Error;

describe('an invalid configuration', () => {
  it.each<[string, Partial<OciSpec>]>([
    ['the configuration has no process', { process: undefined }],
    ['a container needs a mount namespace of its own', { linux: { namespaces: [{ type: 'pid' }] } }],
    ['a container needs a mount namespace of its own', { linux: { namespaces: [{ type: 'mount', path: '/x' }] } }],
    ['not supported: hooks', { hooks: { poststop: [{ path: '/bin/true' }] } }],
    ['the configuration mounts nothing on /proc', { mounts: [] }],
    ['cannot mount on /: it is the root file system', { mounts: [{ destination: '/x/..', type: 'tmpfs' }] }],
    ['the destination of a mount is not absolute: etc', { mounts: [{ destination: 'etc', type: 'tmpfs' }] }],
  ])('is refused: %s', (message, changed) => {
    expect(() => compile({ ...spec, ...changed })).toThrow(refused(message));
  });

  it.each<[string, Partial<OciProcess>]>([
    ['no command specified', { args: [] }],
    ['no command specified', { args: [''] }],
    ['unknown resource limit RLIMIT_X', { rlimits: [{ type: 'RLIMIT_X', soft: 0, hard: 0 }] }],
    ['not supported: process.apparmorProfile', { apparmorProfile: 'docker-default' }],
    ['not supported: process.selinuxLabel', { selinuxLabel: 'system_u:x' }],
    ['not supported: process.scheduler', { scheduler: { policy: 'SCHED_FIFO' } }],
    ['not supported: process.ioPriority', { ioPriority: { class: 'IOPRIO_CLASS_RT', priority: 0 } }],
    ['not supported: process.execCPUAffinity', { execCPUAffinity: { initial: '0' } }],
  ])('of the process is refused: %s', (message, changed) => {
    const process = { ...spec.process, user: { uid: 0, gid: 0 }, cwd: '/', ...changed };
    expect(() => compile({ ...spec, process })).toThrow(refused(message));
  });

  it.each<[string, Partial<OciLinux>]>([
    ['not supported: linux.mountLabel', { mountLabel: 'x' }],
    ['not supported: linux.personality', { personality: { domain: 'LINUX32' } }],
    ['not supported: linux.timeOffsets', { timeOffsets: { monotonic: { secs: 1 } } }],
    ['not supported: linux.netDevices', { netDevices: { eth0: {} } }],
    ['not supported: an owner of a device', { devices: [{ type: 'c', path: '/dev/x', major: 1, minor: 2, uid: 5 }] }],
  ])('of Linux is refused: %s', (message, changed) => {
    expect(() => compile({ ...spec, linux: { ...spec.linux, ...changed } })).toThrow(refused(message));
  });

  it('may say that it wants nothing of what is not supported', () => {
    const process = {
      ...spec.process,
      user: { uid: 0, gid: 0 },
      cwd: '/',
      apparmorProfile: 'unconfined',
      selinuxLabel: '',
    };
    const linux = { ...spec.linux, mountLabel: '', netDevices: {} };
    expect(compile({ ...spec, process, linux, hooks: { prestart: [] } })).toBeDefined();
  });
});

describe('a mount inside /proc', () => {
  const withMount = (mount: OciMount): OciSpec => ({ ...spec, mounts: [...(spec.mounts ?? []), mount] });

  it.each(['/proc', '/proc//sys', '/proc/sys/kernel', '/a/../proc/1'])('is refused: %s', (destination) => {
    expect(() => compile(withMount({ destination, type: 'bind', source: '/srv' }))).toThrow('it is inside /proc');
    expect(() => compile(withMount({ destination, type: 'tmpfs' }))).toThrow('it is inside /proc');
  });

  it('is fine where it is procfs, or tells of resources; a name that only begins so is none', () => {
    for (const destination of ['/proc/cpuinfo', '/proc/net/dev', '/process', '/srv/proc']) {
      expect(compile(withMount({ destination, type: 'bind', source: '/srv' }))).toBeDefined();
    }
    expect(compile(withMount({ destination: '/proc', type: 'bind', source: '/proc' }))).toBeDefined();
  });
});
