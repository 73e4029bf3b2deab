import { describe, expect, test } from '@jest/globals';

import { allCapabilities, defaultCapabilities } from './capabilities.ts';
import { defaultDevices, defaultSpec, maskedPaths, readonlyPaths } from './default-spec.ts';
import type { OciMount, OciSpec } from './oci-spec.ts';

const args = ['true'];
const mountOn = (spec: OciSpec, destination: string): OciMount | undefined =>
  spec.mounts?.find((mount) => mount.destination === destination);

describe('a container that asked for nothing', () => {
  const spec = defaultSpec({ args });

  test('hides and protects what Docker does', () => {
    const proc = [
      'acpi',
      'asound',
      'interrupts',
      'kcore',
      'keys',
      'latency_stats',
      'sched_debug',
      'scsi',
      'timer_list',
      'timer_stats',
    ];
    const sys = ['/sys/devices/virtual/powercap', '/sys/firmware'];
    expect(spec.linux?.maskedPaths).toEqual([...proc.map((name) => `/proc/${name}`), ...sys]);
    expect(spec.linux?.readonlyPaths).toEqual([
      '/proc/bus',
      '/proc/fs',
      '/proc/irq',
      '/proc/sys',
      '/proc/sysrq-trigger',
    ]);
    expect(maskedPaths({ thermalThrottleCpus: [0, 12] }).slice(-2)).toEqual([
      '/sys/devices/system/cpu/cpu0/thermal_throttle',
      '/sys/devices/system/cpu/cpu12/thermal_throttle',
    ]);
  });

  test('has Docker’s capabilities, and none that a file or a child could pick up', () => {
    expect(spec.process?.capabilities).toEqual({
      bounding: defaultCapabilities,
      effective: defaultCapabilities,
      permitted: defaultCapabilities,
      inheritable: [],
      ambient: [],
    });
  });

  test('is root in / with a path, in six namespaces of its own, behind the default filter', () => {
    expect(spec.process).toMatchObject({
      args,
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [0] },
      terminal: false,
    });
    expect(spec.process?.env).toEqual(['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
    expect(spec.linux?.namespaces?.map(({ type }) => type).toSorted()).toEqual([
      'cgroup',
      'ipc',
      'mount',
      'network',
      'pid',
      'uts',
    ]);
    expect(spec.linux?.seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO');
    expect(spec.linux?.sysctl).toEqual({
      'net.ipv4.ip_unprivileged_port_start': '0',
      'net.ipv4.ping_group_range': '0 2147483647',
    });
  });

  test('mounts the kernel’s file systems, parents first, the dangerous ones read-only', () => {
    const destinations = ['/proc', '/dev', '/dev/pts', '/sys', '/sys/fs/cgroup', '/dev/mqueue', '/dev/shm'];
    expect(spec.mounts?.map(({ destination }) => destination)).toEqual(destinations);
    for (const path of ['/sys', '/sys/fs/cgroup']) expect(mountOn(spec, path)?.options).toContain('ro');
    for (const mount of spec.mounts ?? []) expect(mount.options).toContain('nosuid');
    expect(mountOn(spec, '/dev/shm')?.options).toContain('size=67108864');
  });

  test('may make any device node but open only the harmless ones', () => {
    const rules = spec.linux?.resources?.devices ?? [];
    expect(rules[0]).toEqual({ allow: false, access: 'rwm' });
    const open = rules
      .filter(({ allow, access }) => allow && access !== 'm')
      .map(({ major, minor }) => `${String(major)}:${String(minor ?? '*')}`);
    expect(open.toSorted()).toEqual(['136:*', '1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2']);
    expect(defaultDevices.map(({ path }) => path)).toEqual(
      ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`),
    );
  });

  test('is data: it goes through JSON unchanged but for what it leaves out', () => {
    const text = JSON.stringify(spec);
    expect(JSON.stringify(JSON.parse(text))).toBe(text);
  });
});

describe('privileged', () => {
  const spec = defaultSpec({ args, privileged: true, capabilities: ['CAP_CHOWN'] });

  test('lifts masks, filter, capabilities and device rules', () => {
    expect(spec.linux?.maskedPaths).toEqual([]);
    expect(spec.linux?.readonlyPaths).toEqual([]);
    expect(spec.linux?.seccomp).toBeUndefined();
    expect(spec.process?.capabilities?.bounding).toEqual(allCapabilities);
    expect(spec.process?.capabilities?.inheritable).toEqual([]);
    expect(spec.linux?.resources?.devices).toEqual([{ allow: true, access: 'rwm' }]);
    for (const path of ['/sys', '/sys/fs/cgroup']) expect(mountOn(spec, path)?.options).not.toContain('ro');
  });

  test('keeps a filter that was asked for', () => {
    const seccomp = { defaultAction: 'SCMP_ACT_LOG' };
    expect(defaultSpec({ args, privileged: true, seccomp }).linux?.seccomp).toBe(seccomp);
  });
});

describe('options', () => {
  test('the filter follows the capabilities, or is not there', () => {
    const named = (capabilities: readonly string[]): boolean =>
      defaultSpec({ args, capabilities }).linux?.seccomp?.syscalls?.[0]?.names.includes('mount') ?? false;
    expect([named([]), named(['CAP_SYS_ADMIN'])]).toEqual([false, true]);
    expect(defaultSpec({ args, seccomp: 'unconfined' }).linux?.seccomp).toBeUndefined();
    expect(defaultSpec({ args, systemPaths: 'unconfined' }).linux).toMatchObject({
      maskedPaths: [],
      readonlyPaths: [],
    });
    expect(defaultSpec({ args }).linux?.readonlyPaths).toBe(readonlyPaths);
  });

  test('a mount takes the place of the default one there, and one on /dev of all below it', () => {
    const bind = (destination: string): OciMount => ({ destination, type: 'bind', source: '/src', options: ['rbind'] });
    const shm = defaultSpec({ args, mounts: [bind('/dev/shm')] });
    expect(shm.mounts?.filter(({ destination }) => destination === '/dev/shm')).toEqual([bind('/dev/shm')]);
    const dev = defaultSpec({ args, mounts: [bind('/dev')] });
    expect(dev.mounts?.map(({ destination }) => destination)).toEqual(['/proc', '/sys', '/sys/fs/cgroup', '/dev']);
  });

  test('a device is there and may be opened; rules of the caller’s come last', () => {
    const device = { type: 'c', path: '/dev/fuse', major: 10, minor: 229 } as const;
    const deviceRules = [{ allow: false, type: 'c', major: 10, access: 'm' }] as const;
    const { linux } = defaultSpec({ args, devices: [device], deviceRules });
    expect(linux?.devices).toEqual([device]);
    expect(linux?.resources?.devices?.slice(-2)).toEqual([
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rwm' },
      ...deviceRules,
    ]);
  });

  test('in the host’s network nothing of it is set; in a user namespace no range that is not mapped', () => {
    const sysctl = (...types: readonly ('network' | 'user' | 'mount')[]): object | undefined =>
      defaultSpec({ args, namespaces: types.map((type) => ({ type })) }).linux?.sysctl;
    expect(sysctl('mount')).toEqual({});
    expect(sysctl('network', 'user')).toEqual({ 'net.ipv4.ip_unprivileged_port_start': '0' });
  });

  test('the rest goes where it belongs', () => {
    const spec = defaultSpec({
      args,
      rootfsPath: '/merged',
      readonlyRootfs: true,
      hostname: 'box',
      terminal: true,
      shmSizeBytes: 4096,
      noNewPrivileges: true,
      resources: { pids: { limit: 5 } },
      sysctl: { 'net.ipv4.ip_unprivileged_port_start': '1024' },
    });
    expect(spec).toMatchObject({ root: { path: '/merged', readonly: true }, hostname: 'box' });
    expect(spec.process).toMatchObject({ terminal: true, noNewPrivileges: true });
    expect(mountOn(spec, '/dev/shm')?.options).toContain('size=4096');
    expect(spec.linux?.resources?.pids).toEqual({ limit: 5 });
    expect(spec.linux?.sysctl?.['net.ipv4.ip_unprivileged_port_start']).toBe('1024');
  });
});
