import { randomBytes, randomInt } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { encodeAttributes, nest, text } from '../wire/attribute.ts';
import { decodeExpressions, encodeExpressions } from './expression.ts';
import type { NftExpression } from './expression.ts';
import type { NftData } from './verdict.ts';

const register = (): number => randomInt(24);
const pick = <T>(...values: readonly [T, ...T[]]): T => values[randomInt(values.length)] ?? values[0];
const word = (): number => randomInt(2 ** 32);
const randomData = (): NftData =>
  pick<() => NftData>(
    () => randomBytes(randomInt(1, 65)),
    () => ({ verdict: pick('drop', 'accept', 'continue', 'break', 'return') }),
    () => ({ verdict: pick('jump', 'goto'), chain: randomBytes(6).toString('hex') }),
  )();

const makers: readonly (() => NftExpression)[] = [
  () => ({
    name: 'payload',
    destination: register(),
    base: pick('link', 'network', 'transport'),
    offset: word(),
    length: 4,
  }),
  () => ({ name: 'meta', destination: register(), key: pick('iifname', 'oifname', 'l4proto', 'mark', 'nfproto') }),
  () => ({ name: 'cmp', source: register(), operator: pick('eq', 'neq', 'lt', 'gte'), data: randomData() }),
  () => ({ name: 'bitwise', source: 1, destination: 1, length: 4, mask: randomBytes(4), xor: randomBytes(4) }),
  () => ({ name: 'lookup', set: randomBytes(4).toString('hex'), source: register(), destination: register() }),
  () => ({ name: 'lookup', set: 'set', source: register(), flags: 1 }),
  () => ({ name: 'immediate', destination: register(), data: randomData() }),
  () => ({ name: 'ct', destination: register(), key: pick('state', 'status'), direction: randomInt(2) }),
  () => ({ name: 'fib', destination: register(), result: pick('oif', 'oifname', 'type'), flags: word() }),
  () => ({ name: 'nat', type: pick('snat', 'dnat'), family: 2, addressMin: register(), portMin: register() }),
  () => ({
    name: 'nat',
    type: 'dnat',
    family: 2,
    addressMin: 1,
    addressMax: 2,
    portMin: 9,
    portMax: 10,
    flags: word(),
  }),
  () => pick<NftExpression>({ name: 'masq' }, { name: 'masq', flags: word() }),
  () => ({ name: 'counter', bytes: randomBytes(8).readBigUInt64BE(), packets: randomBytes(8).readBigUInt64BE() }),
];

test('expressions round-trip', () => {
  for (let round = 0; round < 300; round += 1) {
    const expressions = makers.map((make) => make());
    expect(decodeExpressions(encodeAttributes(encodeExpressions(expressions)))).toEqual(expressions);
  }
});

test("an expression of others is told by the kernel's name", () => {
  const list = encodeAttributes([nest(1, [text(1, 'quota'), nest(2, [])])]);
  expect(decodeExpressions(list)).toEqual([{ name: 'unknown', kind: 'quota' }]);
});
