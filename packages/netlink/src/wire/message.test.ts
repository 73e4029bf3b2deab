import { randomBytes, randomInt } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import { encodeAttributes, text } from './attribute.ts';
import { decodeAcknowledgement, decodeMessages, encodeMessages, NLMSG_ERROR } from './message.ts';

const EEXIST = 17;
const CAPPED = 0x100;
const EXPLAINED = 0x200;

const number = (value: number): Buffer => {
  const data = Buffer.alloc(4);
  data.writeInt32LE(value);
  return data;
};

describe('messages', () => {
  test('round-trip', () => {
    for (let round = 0; round < 200; round += 1) {
      const messages = Array.from({ length: randomInt(1, 5) }, () => ({
        type: randomInt(0x10000),
        flags: randomInt(0x10000),
        header: randomBytes(4 * randomInt(5)),
        attributes: Array.from({ length: randomInt(4) }, () => ({
          type: randomInt(1, 99),
          value: randomBytes(randomInt(30)),
        })),
      }));
      const first = randomInt(2 ** 32);
      expect(decodeMessages(encodeMessages(messages, first))).toEqual(
        messages.map(({ type, flags, header, attributes }, index) => ({
          type,
          flags,
          sequence: (first + index) >>> 0,
          payload: Buffer.concat([header, encodeAttributes(attributes)]),
        })),
      );
    }
  });

  test('that are cut off are left out', () => {
    const data = encodeMessages([{ type: 1, flags: 0, header: Buffer.alloc(8), attributes: [] }], 1);
    expect(decodeMessages(data.subarray(0, data.length - 1))).toEqual([]);
    expect(decodeMessages(randomBytes(15))).toEqual([]);
  });

  test('acknowledge, refuse and explain', () => {
    const base = { type: NLMSG_ERROR, sequence: 5 };
    const header = Buffer.alloc(16);
    header.writeUInt32LE(24);
    const explanation = encodeAttributes([text(1, 'no such thing')]);
    expect(decodeAcknowledgement({ ...base, flags: CAPPED, payload: Buffer.concat([number(0), header]) })).toEqual({
      sequence: 5,
      errno: 0,
      text: undefined,
    });
    const capped = Buffer.concat([number(-EEXIST), header, explanation]);
    const whole = Buffer.concat([number(-EEXIST), header, Buffer.alloc(8), explanation]);
    const expected = { sequence: 5, errno: EEXIST, text: 'no such thing' };
    expect(decodeAcknowledgement({ ...base, flags: CAPPED | EXPLAINED, payload: capped })).toEqual(expected);
    expect(decodeAcknowledgement({ ...base, flags: EXPLAINED, payload: whole })).toEqual(expected);
  });
});
