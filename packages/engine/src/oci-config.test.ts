import { expect, it } from '@jest/globals';
import { allCapabilities } from '@tsc/runtime';
import type { OciSpec } from '@tsc/runtime';

import { initialState } from './container-record.ts';
import type { ContainerRecord } from './container-record.ts';
import type { ContainerSpec } from './container-spec.ts';
import { containerPaths } from './layout.ts';
import { cgroupLimits, ociConfig } from './oci-config.ts';

const MIB = 1024 ** 2;
const id = 'a'.repeat(64);
const paths = containerPaths({ rootDir: '/root-dir', runDir: '/run-dir' }, id);

function configOf(spec: Partial<ContainerSpec>, record: Partial<ContainerRecord> = {}): OciSpec {
  const whole: ContainerRecord = {
    version: 1,
    id,
    name: 'it',
    created: new Date(0).toISOString(),
    imageId: 'sha256:it',
    layerDirs: [],
    spec: { image: 'it', ...spec },
    process: {
      args: ['a'],
      env: ['A=1'],
      workingDir: '/w',
      user: '',
      stopSignal: 'SIGTERM',
      entrypoint: [],
      command: ['a'],
    },
    mounts: [],
    labels: {},
    exposedPorts: [],
    state: initialState,
    ...record,
  };
  return ociConfig({
    record: whole,
    paths,
    user: { uid: 5, gid: 6, additionalGids: [6, 7], home: '/h', username: undefined },
    cgroupPath: '/tsc/it',
    hostFacts: {
      arch: 'x64',
      kernelVersion: '6.1',
      thermalThrottleCpus: [],
      capabilities: allCapabilities.slice(0, 5),
    },
  });
}

it('runs what the record says, as the user that was found', () => {
  expect(configOf({}).process).toMatchObject({
    args: ['a'],
    cwd: '/w',
    env: ['A=1', `HOSTNAME=${id.slice(0, 12)}`, 'HOME=/h'],
    user: { uid: 5, gid: 6, additionalGids: [6, 7] },
  });
  expect(configOf({ tty: true, hostname: 'box' }).process?.env).toEqual([
    'A=1',
    'HOSTNAME=box',
    'TERM=xterm',
    'HOME=/h',
  ]);
});

it('gives a container namespaces of its own, but the network’s where it is the host’s', () => {
  const types = (spec: Partial<ContainerSpec>): (string | undefined)[] =>
    configOf(spec).linux?.namespaces?.map(({ type }) => type) ?? [];
  expect(types({})).toEqual(['mount', 'uts', 'pid', 'ipc', 'cgroup', 'network']);
  expect(types({ network: 'host' })).not.toContain('network');
});

it('mounts the files of the network unless something is mounted there', () => {
  const mounts = configOf(
    { mounts: [{ type: 'bind', source: '/s', target: '/etc/hosts' }] },
    { mounts: [{ type: 'bind', source: '/s', target: '/etc/hosts', readOnly: true, propagation: 'rslave' }] },
  ).mounts;
  const at = (destination: string): object[] => mounts?.filter((mount) => mount.destination === destination) ?? [];
  expect(at('/etc/hosts')).toEqual([
    { destination: '/etc/hosts', type: 'bind', source: '/s', options: ['rbind', 'rslave', 'ro'] },
  ]);
  expect(at('/etc/hostname')).toEqual([expect.objectContaining({ source: paths.hostname })]);
});

it('gives a privileged container what the host itself has', () => {
  const { process } = configOf({ privileged: true });
  expect(process?.capabilities?.bounding).toEqual(allCapabilities.slice(0, 5));
  expect(configOf({ capAdd: ['all'], capDrop: ['chown'] }).process?.capabilities?.effective).toEqual(
    allCapabilities.slice(1, 5),
  );
  expect(configOf({}).process?.capabilities?.bounding).toHaveLength(14);
});

it('turns IPv6 off in networks that have none', () => {
  expect(configOf({}).linux?.sysctl).toMatchObject({ 'net.ipv6.conf.all.disable_ipv6': '1' });
  expect(configOf({ network: 'host' }).linux?.sysctl ?? {}).not.toHaveProperty(['net.ipv6.conf.all.disable_ipv6']);
});

it('limits a cgroup as Docker would', () => {
  const limits = (resources: ContainerSpec['resources'], swapAccounting = true): object =>
    cgroupLimits(configOf({}), resources ?? {}, { swapAccounting });
  expect(limits({ memoryMaxBytes: 64 * MIB })).toMatchObject({
    memoryMaxBytes: 64 * MIB,
    memorySwapMaxBytes: 128 * MIB,
  });
  expect(limits({ memoryMaxBytes: 64 * MIB }, false)).toMatchObject({ memorySwapMaxBytes: undefined });
  expect(limits({ memorySwapMaxBytes: -1 })).toMatchObject({ memorySwapMaxBytes: 'max' });
  expect(limits({ cpus: 0.5 })).toMatchObject({ cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 });
  expect(limits({ pidsMax: -1 })).toMatchObject({ pidsMax: undefined });
  const deny = { type: 'a', major: '*', minor: '*', access: 'rwm', allow: false };
  expect(limits({})).toMatchObject({ devices: expect.arrayContaining([deny]) });
});
