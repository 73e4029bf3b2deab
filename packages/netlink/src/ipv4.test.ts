import { randomInt } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import {
  broadcastAddress,
  cidrOfRange,
  containsAddress,
  formatCidr,
  formatIpv4,
  hostAddress,
  hostCount,
  hosts,
  netmask,
  networkAddress,
  overlaps,
  parseCidr,
  parseIpv4,
  subnetOf,
} from './ipv4.ts';

const randomAddress = (): number => randomInt(2 ** 32);

describe('IPv4 addresses', () => {
  test('round-trip', () => {
    for (let round = 0; round < 500; round += 1) {
      const cidr = { address: randomAddress(), prefixLength: randomInt(33) };
      expect(parseIpv4(formatIpv4(cidr.address))).toBe(cidr.address);
      expect(parseCidr(formatCidr(cidr))).toEqual(cidr);
    }
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.-4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    '١.2.3.4',
    '1..2.3',
  ])('are not "%s"', (text) => {
    expect(() => parseIpv4(text)).toThrow('not an IPv4 address');
  });

  test.each(['1.2.3.4', '1.2.3.4/', '1.2.3.4/33', '1.2.3.4/-1', '1.2.3.4/1/2', '/8', '::/0'])(
    'with a prefix are not "%s"',
    (text) => {
      expect(() => parseCidr(text)).toThrow(expect.objectContaining({ code: 'NETLINK_INVALID' }));
    },
  );
});

describe('subnets', () => {
  test('begin and end where they should', () => {
    const cidr = parseCidr('172.17.5.6/16');
    expect(formatIpv4(networkAddress(cidr))).toBe('172.17.0.0');
    expect(formatIpv4(broadcastAddress(cidr))).toBe('172.17.255.255');
    expect(formatCidr(subnetOf(cidr))).toBe('172.17.0.0/16');
    expect([0, 1, 24, 31, 32].map((length) => formatIpv4(netmask(length)))).toEqual([
      '0.0.0.0',
      '128.0.0.0',
      '255.255.255.0',
      '255.255.255.254',
      '255.255.255.255',
    ]);
  });

  test('are found again from their ends', () => {
    for (let round = 0; round < 500; round += 1) {
      const cidr = subnetOf({ address: randomAddress(), prefixLength: randomInt(33) });
      expect(cidrOfRange(networkAddress(cidr), broadcastAddress(cidr))).toEqual(cidr);
    }
    expect(cidrOfRange(parseIpv4('10.0.0.1'), parseIpv4('10.0.0.2'))).toBeUndefined();
  });

  test('overlap when they share an address', () => {
    const pair = (a: string, b: string): boolean => overlaps(parseCidr(a), parseCidr(b));
    expect(pair('10.0.0.0/8', '10.255.255.255/32')).toBe(true);
    expect(pair('10.255.255.255/32', '10.0.0.0/8')).toBe(true);
    expect(pair('0.0.0.0/0', '255.255.255.255/32')).toBe(true);
    expect(pair('10.0.0.0/9', '10.128.0.0/9')).toBe(false);
    expect(pair('172.17.0.0/16', '172.18.0.0/16')).toBe(false);
    expect(containsAddress(parseCidr('192.168.1.0/24'), parseIpv4('192.168.1.255'))).toBe(true);
    expect(containsAddress(parseCidr('192.168.1.0/24'), parseIpv4('192.168.2.0'))).toBe(false);
  });

  test('have hosts', () => {
    const all = (text: string): readonly string[] => [...hosts(parseCidr(text))].map(formatIpv4);
    expect(all('10.0.0.9/29')).toEqual(['10.0.0.9', '10.0.0.10', '10.0.0.11', '10.0.0.12', '10.0.0.13', '10.0.0.14']);
    expect(all('10.0.0.4/31')).toEqual(['10.0.0.4', '10.0.0.5']);
    expect(all('10.0.0.4/32')).toEqual(['10.0.0.4']);
    expect(hostCount(parseCidr('0.0.0.0/0'))).toBe(2 ** 32 - 2);
    const cidr = parseCidr('255.255.255.0/24');
    expect(formatIpv4(hostAddress(cidr, 253) ?? 0)).toBe('255.255.255.254');
    expect(hostAddress(cidr, 254)).toBeUndefined();
    expect(hostAddress(cidr, -1)).toBeUndefined();
  });
});
