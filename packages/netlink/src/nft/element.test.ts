import { randomBytes, randomInt } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { encodeAttributes } from '../wire/attribute.ts';
import { concatenate, dataLength, dataTypeId, dataTypesOfId, ifnameBytes } from './data-type.ts';
import type { NftDataType } from './data-type.ts';
import { decodeElements, encodeElements } from './element.ts';
import { encodeTransaction } from './message.ts';
import { describeOperation } from './operation.ts';
import type { NftElement, NftOperation } from './operation.ts';
import { decodeComment, encodeComment } from './user-data.ts';

const allTypes: readonly NftDataType[] = ['ipv4_addr', 'inet_proto', 'inet_service', 'ifname'];

test('elements round-trip', () => {
  for (let round = 0; round < 200; round += 1) {
    const elements = Array.from({ length: randomInt(1, 8) }, (): NftElement => {
      const key = randomBytes(randomInt(1, 65));
      if (randomInt(2) === 0) return { key, keyEnd: randomBytes(key.length) };
      return randomInt(2) === 0 ? { key } : { key, data: randomBytes(8) };
    });
    expect(decodeElements(encodeAttributes(encodeElements('table', 'set', elements)))).toEqual(elements);
  }
});

test('types of concatenations round-trip, as long as four', () => {
  for (let round = 0; round < 100; round += 1) {
    const types = Array.from({ length: randomInt(1, 5) }, () => allTypes[randomInt(4)] ?? 'ipv4_addr');
    expect(dataTypesOfId(dataTypeId(types))).toEqual(types);
  }
  expect(dataTypesOfId(63)).toBeUndefined();
});

test('a lone field is as long as it is, joined ones fill registers', () => {
  expect(dataLength(['inet_service'])).toBe(2);
  expect(dataLength(['ipv4_addr', 'inet_proto', 'inet_service'])).toBe(12);
  expect(concatenate([Buffer.of(10, 0, 0, 1), Buffer.of(6), Buffer.of(0, 80)])).toEqual(
    Buffer.of(10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0),
  );
  expect(ifnameBytes('lo')).toEqual(Buffer.from('lo'.padEnd(16, '\0')));
});

test('comments round-trip', () => {
  expect(decodeComment(encodeComment('why this rule is'))).toBe('why this rule is');
  expect(decodeComment(Buffer.alloc(0))).toBeUndefined();
});

test('long lists of elements become several messages of one operation', () => {
  const set = { family: 'ip', table: 't', set: 's' } as const;
  const operations: readonly NftOperation[] = [
    { family: 'ip', table: 't', type: 'add-table' },
    { ...set, type: 'add-elements', elements: Array.from({ length: 450 }, () => ({ key: randomBytes(4) })) },
    { ...set, type: 'delete-elements', elements: [] },
  ];
  const { messages, operationIndexes } = encodeTransaction(operations);
  expect(operationIndexes).toEqual([undefined, 0, 1, 1, 1, undefined]);
  expect(messages).toHaveLength(6);
  expect(operations.map(describeOperation)).toEqual([
    'add table ip t',
    'add elements ip t s',
    'delete elements ip t s',
  ]);
});
