import { randomBytes } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { formatMac, macFromIpv4, parseMac } from './mac.ts';

test('MAC addresses round-trip', () => {
  for (let round = 0; round < 100; round += 1) {
    const mac = randomBytes(6);
    mac.writeUInt8(mac.readUInt8(0) & 0xfe, 0);
    expect(parseMac(formatMac(mac))).toEqual(mac);
    expect(parseMac(formatMac(mac).toUpperCase())).toEqual(mac);
  }
});

test.each(['', '02:42:ac:11:00', '02:42:ac:11:00:0g', '02-42-ac-11-00-02', '01:00:5e:00:00:01'])(
  '"%s" is none',
  (mac) => {
    expect(() => parseMac(mac)).toThrow(expect.objectContaining({ code: 'NETLINK_INVALID' }));
  },
);

test('a MAC address made of an IPv4 address is a local one', () => {
  expect(macFromIpv4('172.17.0.2')).toBe('02:42:ac:11:00:02');
});
