import { randomInt } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import { formatIpv4 } from '../ipv4.ts';
import { parseSubnetElement, subnetElement } from './network.ts';
import { planBridgeRules, planPortPublication } from './plan.ts';
import { findPortConflict, formatHostPort, parsePortElement, portElement, portMap, portsConflict } from './port.ts';
import type { PublishedPort } from './port.ts';

const web: PublishedPort = {
  protocol: 'tcp',
  hostAddress: '0.0.0.0',
  hostPort: 80,
  containerAddress: '172.17.0.2',
  containerPort: 8080,
};

describe('published ports', () => {
  test('round-trip as elements', () => {
    for (let round = 0; round < 300; round += 1) {
      const port: PublishedPort = {
        protocol: (['tcp', 'udp', 'sctp'] as const)[randomInt(3)] ?? 'tcp',
        hostAddress: randomInt(2) === 0 ? '0.0.0.0' : formatIpv4(randomInt(1, 2 ** 32)),
        hostPort: randomInt(1, 65_536),
        containerAddress: formatIpv4(randomInt(2 ** 32)),
        containerPort: randomInt(1, 65_536),
      };
      expect(parsePortElement(portMap(port), portElement(port))).toEqual(port);
    }
  });

  test('conflict on the same port of the same address or of all', () => {
    const local = { ...web, hostAddress: '127.0.0.1' };
    expect(portsConflict(web, local)).toBe(true);
    expect(portsConflict(local, web)).toBe(true);
    expect(portsConflict(local, { ...local, containerAddress: '172.17.0.9' })).toBe(true);
    expect(portsConflict(local, { ...web, hostAddress: '10.0.0.1' })).toBe(false);
    expect(portsConflict(web, { ...web, protocol: 'udp' })).toBe(false);
    expect(portsConflict(web, { ...web, hostPort: 81 })).toBe(false);
    expect(findPortConflict([local, { ...web, hostPort: 81 }], [web])).toBe(local);
    expect(findPortConflict([{ ...web, hostPort: 81 }], [web])).toBeUndefined();
    expect(findPortConflict([web, local], [])).toBe(local);
    expect(formatHostPort(local)).toBe('tcp 127.0.0.1:80');
  });

  test.each([
    { ...web, hostPort: 0 },
    { ...web, hostPort: 65_536 },
    { ...web, containerPort: 1.5 },
    { ...web, hostAddress: '::' },
    { ...web, hostAddress: '' },
    { ...web, containerAddress: 'localhost' },
  ])('are refused before anything is sent: %j', (port) => {
    expect(() => planPortPublication([port])).toThrow(expect.objectContaining({ code: 'NETLINK_INVALID' }));
  });
});

describe('networks', () => {
  test('round-trip as elements', () => {
    for (const subnet of ['172.17.0.0/16', '10.0.0.0/8', '192.168.7.4/30', '255.255.255.255/32']) {
      expect(parseSubnetElement(subnetElement({ bridge: 'tsc0', subnet }))).toEqual({ bridge: 'tsc0', subnet });
    }
    expect(parseSubnetElement(subnetElement({ bridge: 'fifteen-bytes-x', subnet: '10.1.2.3/8' }))).toEqual({
      bridge: 'fifteen-bytes-x',
      subnet: '10.0.0.0/8',
    });
  });

  test.each([
    { bridge: 'no such/name', subnet: '10.0.0.0/8' },
    { bridge: 'tsc0', subnet: '10.0.0.0' },
    { bridge: 'tsc0', subnet: '0.0.0.0/0' },
  ])('are refused before anything is sent: %j', (network) => {
    expect(() => planBridgeRules(network)).toThrow(expect.objectContaining({ code: 'NETLINK_INVALID' }));
  });
});
