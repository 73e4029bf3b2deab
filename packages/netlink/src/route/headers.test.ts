import { randomInt } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import {
  decodeAddressHeader,
  decodeLinkHeader,
  decodeRouteHeader,
  encodeAddressHeader,
  encodeLinkHeader,
  encodeRouteHeader,
} from './headers.ts';

const byte = (): number => randomInt(256);
const word = (): number => randomInt(2 ** 32);

describe('the fixed parts of rtnetlink messages', () => {
  test('round-trip', () => {
    for (let round = 0; round < 200; round += 1) {
      const link = {
        family: byte(),
        deviceType: randomInt(65_536),
        index: randomInt(2 ** 31),
        flags: word(),
        change: word(),
      };
      expect(decodeLinkHeader(encodeLinkHeader(link))).toEqual(link);
      const address = { family: byte(), prefixLength: byte(), flags: byte(), scope: byte(), index: word() };
      expect(decodeAddressHeader(encodeAddressHeader(address))).toEqual(address);
      const route = {
        family: byte(),
        destinationLength: byte(),
        sourceLength: byte(),
        tos: byte(),
        table: byte(),
        protocol: byte(),
        scope: byte(),
        type: byte(),
        flags: word(),
      };
      expect(decodeRouteHeader(encodeRouteHeader(route))).toEqual(route);
    }
  });
});
