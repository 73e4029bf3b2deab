import { MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE } from '@tsc/sys';
import { describe, expect, it } from '@jest/globals';

import { parseMountOptions } from './mount-options.ts';

const attributesOf = (...options: readonly string[]): [number, number] => {
  const { attributesSet, attributesClear } = parseMountOptions(options);
  return [attributesSet, attributesClear];
};

describe('parseMountOptions', () => {
  it('leaves everything as it is without options', () => {
    expect(parseMountOptions([])).toEqual({
      bind: false,
      recursive: false,
      attributesSet: 0,
      attributesClear: 0,
      propagation: 0,
      propagationRecursive: false,
      data: [],
    });
  });

  it.each([
    ['ro', 0x01],
    ['nosuid', 0x02],
    ['nodev', 0x04],
    ['noexec', 0x08],
    ['nodiratime', 0x80],
    ['nosymfollow', 0x200000],
  ])('sets %s', (option, attribute) => {
    expect(attributesOf(option)).toEqual([attribute, 0]);
  });

  it.each([
    ['rw', 0x01],
    ['suid', 0x02],
    ['dev', 0x04],
    ['exec', 0x08],
    ['diratime', 0x80],
  ])('clears for %s', (option, attribute) => {
    expect(attributesOf(option)).toEqual([0, attribute]);
  });

  it('clears the field of access times before one of its values is set', () => {
    expect(attributesOf('noatime')).toEqual([0x10, 0x70]);
    expect(attributesOf('strictatime')).toEqual([0x20, 0x70]);
    expect(attributesOf('relatime')).toEqual([0, 0x70]);
  });

  it('lets the last of two that contradict each other win', () => {
    expect(attributesOf('ro', 'rw')).toEqual([0, 1]);
    expect(attributesOf('rw', 'ro')).toEqual([1, 0]);
    expect(attributesOf('noexec', 'exec', 'ro')).toEqual([1, 8]);
    expect(attributesOf('noatime', 'strictatime')).toEqual([0x20, 0x70]);
    expect(attributesOf('strictatime', 'relatime')).toEqual([0, 0x70]);
  });

  it.each([
    ['private', MS_PRIVATE, false],
    ['rprivate', MS_PRIVATE, true],
    ['slave', MS_SLAVE, false],
    ['rslave', MS_SLAVE, true],
    ['shared', MS_SHARED, false],
    ['rshared', MS_SHARED, true],
    ['unbindable', MS_UNBINDABLE, false],
    ['runbindable', MS_UNBINDABLE, true],
  ])('knows the propagation %s', (option, propagation, propagationRecursive) => {
    expect(parseMountOptions([option])).toMatchObject({ propagation, propagationRecursive, data: [] });
  });

  it('tells bind and rbind apart', () => {
    expect(parseMountOptions(['bind'])).toMatchObject({ bind: true, recursive: false, data: [] });
    expect(parseMountOptions(['rbind', 'ro'])).toMatchObject({ bind: true, recursive: true, data: [] });
  });

  it('hands everything else to the file system', () => {
    expect(parseMountOptions(['size=64k', 'mode=', 'a=b=c', 'flag', 'defaults', '__proto__']).data).toEqual([
      ['size', '64k'],
      ['mode', ''],
      ['a', 'b=c'],
      ['flag'],
      ['__proto__'],
    ]);
  });
});
