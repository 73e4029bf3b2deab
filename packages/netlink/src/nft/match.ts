import type { NftExpression } from './expression.ts';

/** nf_tables as sentences: each makes the few expressions that `nft` would make of the words above it. */

const FIRST = 1;

/** `ip saddr 127.0.0.0/8`, for a prefix of whole bytes. */
export const sourceStartsWith = (bytes: Uint8Array): readonly NftExpression[] => [
  { name: 'payload', destination: FIRST, base: 'network', offset: 12, length: bytes.length },
  { name: 'cmp', source: FIRST, operator: 'eq', data: bytes },
];

/** `ip daddr 127.0.0.0/8`, for a prefix of whole bytes. */
export const destinationStartsWith = (bytes: Uint8Array): readonly NftExpression[] => [
  { name: 'payload', destination: FIRST, base: 'network', offset: 16, length: bytes.length },
  { name: 'cmp', source: FIRST, operator: 'eq', data: bytes },
];

/** `ct state …` or `ct status …`: any of the bits. */
export const ctHasAny = (key: 'state' | 'status', bits: number): readonly NftExpression[] => {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(bits); // the kernel keeps both in the host's byte order
  const zero = Buffer.alloc(4);
  return [
    { name: 'ct', destination: FIRST, key },
    { name: 'bitwise', source: FIRST, destination: FIRST, length: 4, mask, xor: zero },
    { name: 'cmp', source: FIRST, operator: 'neq', data: zero },
  ];
};

/** `fib daddr type local`: the packet is for an address of this host. */
export const destinationIsLocal = (): readonly NftExpression[] => [
  { name: 'fib', destination: FIRST, result: 'type', flags: 2 },
  { name: 'cmp', source: FIRST, operator: 'eq', data: Buffer.of(2, 0, 0, 0) },
];

/** `… @set` or `… != @set` over what the loads put into the registers from 1 on. */
export const inSet = (loads: readonly NftExpression[], set: string, negate = false): readonly NftExpression[] => [
  ...loads,
  { name: 'lookup', set, source: FIRST, ...(negate ? { flags: 1 } : {}) },
];

export const verdict = (name: 'accept' | 'drop'): readonly NftExpression[] => [
  { name: 'immediate', destination: 0, data: { verdict: name } },
];

export const jump = (chain: string): readonly NftExpression[] => [
  { name: 'immediate', destination: 0, data: { verdict: 'jump', chain } },
];
