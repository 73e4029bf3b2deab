import { describe, expect, it } from '@jest/globals';

import type { OciNamespaceType } from '../oci-spec.ts';
import { sysctlPath } from './sysctl.ts';

const own = (['network', 'ipc', 'uts'] as const).map((type) => ({ type }));

describe('sysctlPath', () => {
  it.each([
    ['net.ipv4.ip_forward', 'sys/net/ipv4/ip_forward'],
    ['net/ipv4/ip_forward', 'sys/net/ipv4/ip_forward'],
    ['net.ipv4.conf.eth0/100.forwarding', 'sys/net/ipv4/conf/eth0.100/forwarding'],
    ['net/ipv4/conf/eth0.100/forwarding', 'sys/net/ipv4/conf/eth0.100/forwarding'],
    ['kernel.msgmax', 'sys/kernel/msgmax'],
    ['kernel.shm_rmid_forced', 'sys/kernel/shm_rmid_forced'],
    ['fs.mqueue.msg_max', 'sys/fs/mqueue/msg_max'],
    ['kernel.domainname', 'sys/kernel/domainname'],
  ])('finds %s', (name, path) => {
    expect(sysctlPath(name, own)).toBe(path);
  });

  it.each([
    'kernel.core_pattern',
    'kernel.modprobe',
    'vm.swappiness',
    'fs.file-max',
    'kernel.msgmaxx',
    'network.x',
    'fs.mqueue.a.b',
  ])('refuses %s, which is the machine’s', (name) => {
    expect(() => sysctlPath(name, own)).toThrow(`the kernel parameter ${name} belongs to no namespace`);
  });

  it.each([
    '',
    '.',
    'net',
    'net..x',
    'net/../kernel',
    'net.a/../b',
    '/net/x',
    'net.x\n',
    'net.x y',
    'net.é',
    'net/ipv4/../../sysrq-trigger',
  ])('refuses what is no name: %j', (name) => {
    expect(() => sysctlPath(name, own)).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_SPEC' }));
  });

  it.each<[string, OciNamespaceType]>([
    ['net.core.somaxconn', 'network'],
    ['kernel.sem', 'ipc'],
    ['kernel.hostname', 'uts'],
  ])('refuses %s where the namespace is not the container’s own', (name, type) => {
    const message = `it has no ${type} namespace for itself`;
    expect(() =>
      sysctlPath(
        name,
        own.filter((namespace) => namespace.type !== type),
      ),
    ).toThrow(message);
    expect(() => sysctlPath(name, [{ type, path: '/proc/1/ns/net' }])).toThrow(message);
  });
});
