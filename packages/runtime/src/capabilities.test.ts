import { describe, expect, test } from '@jest/globals';

import {
  allCapabilities,
  capabilityMask,
  capabilityNumber,
  defaultCapabilities,
  parseCapability,
  resolveCapabilities,
} from './capabilities.ts';

describe('names and numbers', () => {
  test('are the kernel’s', () => {
    expect(allCapabilities).toHaveLength(41);
    const known = {
      CAP_CHOWN: 0,
      CAP_SETPCAP: 8,
      CAP_NET_RAW: 13,
      CAP_SYS_ADMIN: 21,
      CAP_MKNOD: 27,
      CAP_SYSLOG: 34,
      CAP_CHECKPOINT_RESTORE: 40,
    };
    for (const [name, number] of Object.entries(known)) expect(capabilityNumber(parseCapability(name))).toBe(number);
  });

  test('as a mask: what /proc/1/status of a Docker container shows', () => {
    expect(capabilityMask(defaultCapabilities)).toBe(0xa80425fbn);
    expect(capabilityMask(allCapabilities)).toBe(0x1ffffffffffn);
    expect(capabilityMask([])).toBe(0n);
  });

  test.each(['CAP_NET_RAW', 'NET_RAW', 'net_raw', 'cap_Net_Raw'])('%s is read', (text) => {
    expect(parseCapability(text)).toBe('CAP_NET_RAW');
  });

  test.each(['', 'NET_ROW', 'CAP_', 'CAP_CAP_CHOWN', ' CHOWN', 'ALL', '13'])('%j is refused', (text) => {
    expect(() => parseCapability(text)).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_CAPABILITY' }));
  });
});

describe('what a container gets', () => {
  test('Docker’s fourteen when nobody asks', () => {
    expect(new Set(resolveCapabilities())).toEqual(new Set(defaultCapabilities));
    expect(defaultCapabilities).toHaveLength(14);
  });

  test.each([
    [{ drop: ['ALL'] }, []],
    [{ drop: ['all'], add: ['chown', 'CAP_KILL'] }, ['CAP_CHOWN', 'CAP_KILL']],
    [{ add: ['NET_ADMIN'], defaults: ['CAP_CHOWN'] as const }, ['CAP_CHOWN', 'CAP_NET_ADMIN']],
    [{ drop: ['CHOWN'], defaults: ['CAP_CHOWN', 'CAP_KILL'] as const }, ['CAP_KILL']],
    [{ drop: ['CHOWN'], add: ['CHOWN'], defaults: [] }, ['CAP_CHOWN']],
  ])('%j', (request, expected) => {
    expect(resolveCapabilities(request)).toEqual(expected);
  });

  test('ALL but what is dropped by name', () => {
    const names = resolveCapabilities({ add: ['ALL'], drop: ['SYS_ADMIN'] });
    expect(names).toEqual(allCapabilities.filter((name) => name !== 'CAP_SYS_ADMIN'));
    expect(resolveCapabilities({ add: ['ALL'], drop: ['ALL'] })).toEqual(allCapabilities);
  });

  test('everything when privileged, whatever is dropped', () => {
    expect(resolveCapabilities({ privileged: true, drop: ['ALL'] })).toEqual(allCapabilities);
  });

  test('an unknown name is refused in either list, even when it would change nothing', () => {
    for (const request of [{ add: ['FLY'] }, { drop: ['FLY'] }, { add: ['FLY'], privileged: true }]) {
      expect(() => resolveCapabilities(request)).toThrow('unknown capability: "FLY"');
    }
  });
});
