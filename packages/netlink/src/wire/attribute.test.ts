import { randomBytes, randomInt } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import {
  be16,
  be32,
  be64,
  decodeAttributeMap,
  decodeAttributes,
  encodeAttributes,
  nest,
  readText,
  text,
  u32,
  u8,
} from './attribute.ts';
import type { Attribute } from './attribute.ts';

const randomAttribute = (depth: number): Attribute => ({
  type: randomInt(1, 0x3fff),
  value:
    depth > 0 && randomInt(2) === 0
      ? Array.from({ length: randomInt(4) }, () => randomAttribute(depth - 1))
      : randomBytes(randomInt(40)),
});

const decodeTree = (data: Buffer): readonly Attribute[] =>
  decodeAttributes(data).map((attribute) => ({
    type: attribute.type,
    value: attribute.nested ? decodeTree(attribute.data) : Buffer.from(attribute.data),
  }));

describe('attributes', () => {
  test('round-trip', () => {
    for (let round = 0; round < 500; round += 1) {
      const attributes = Array.from({ length: randomInt(6) }, () => randomAttribute(3));
      expect(decodeTree(encodeAttributes(attributes))).toEqual(attributes);
    }
  });

  test('never read beyond random input', () => {
    for (let round = 0; round < 500; round += 1) {
      const data = randomBytes(randomInt(200));
      for (const attribute of decodeAttributes(data)) expect(attribute.data.length).toBeLessThanOrEqual(data.length);
    }
  });

  test('have the byte orders they are named for, and padding', () => {
    const data = encodeAttributes([
      u8(1, 7),
      be16(2, 0x1234),
      u32(3, 0x12345678),
      be32(4, -3),
      be64(5, 9n),
      text(6, 'lo'),
    ]);
    expect(data.length % 4).toBe(0);
    const map = decodeAttributeMap(data);
    expect(map.get(1)).toEqual(Buffer.of(7));
    expect(map.get(2)).toEqual(Buffer.of(0x12, 0x34));
    expect(map.get(3)).toEqual(Buffer.of(0x78, 0x56, 0x34, 0x12));
    expect(map.get(4)).toEqual(Buffer.of(255, 255, 255, 253));
    expect(map.get(5)?.readBigUInt64BE()).toBe(9n);
    expect(readText(map.get(6) ?? Buffer.alloc(0))).toBe('lo');
    expect(encodeAttributes([nest(9, [])])).toEqual(Buffer.of(4, 0, 9, 0x80));
  });

  test('of more than 64 KiB are refused', () => {
    expect(() => encodeAttributes([{ type: 1, value: Buffer.alloc(65_532) }])).toThrow(RangeError);
  });
});
