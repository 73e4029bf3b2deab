import { decodeAttributeMap, readText } from '../wire/attribute.ts';
import { dataTypesOfId } from './data-type.ts';
import type { NftDataType } from './data-type.ts';
import { decodeExpressions } from './expression.ts';
import type { NftExpression, UnknownNftExpression } from './expression.ts';
import { hookOfNumber, SET_FLAGS } from './message.ts';
import type { NftHook } from './operation.ts';
import { decodeComment } from './user-data.ts';

export interface NftTable {
  readonly name: string;
}

export interface NftChain {
  readonly table: string;
  readonly name: string;
  /** Undefined for a chain that is only jumped to. */
  readonly hook: NftHook | undefined;
}

export interface NftRule {
  readonly table: string;
  readonly chain: string;
  readonly handle: bigint;
  readonly expressions: readonly (NftExpression | UnknownNftExpression)[];
  readonly comment: string | undefined;
}

export interface NftSet {
  readonly table: string;
  readonly name: string;
  /** Undefined when a field is of a type we do not know. */
  readonly key: readonly NftDataType[] | undefined;
  readonly map: boolean;
  readonly interval: boolean;
}

const string = (attributes: ReadonlyMap<number, Buffer>, type: number): string =>
  readText(attributes.get(type) ?? Buffer.alloc(0));

/** Each takes the attributes of its NFT_MSG_NEW… message. */
export const decodeTable = (data: Buffer): NftTable => ({ name: string(decodeAttributeMap(data), 1) });

const decodeHook = (chain: ReadonlyMap<number, Buffer>): NftHook | undefined => {
  const attribute = chain.get(4);
  if (attribute === undefined) return undefined;
  const hook = decodeAttributeMap(attribute);
  return {
    type: string(chain, 7) as NftHook['type'],
    hook: hookOfNumber(hook.get(1)?.readUInt32BE() ?? 0),
    priority: hook.get(2)?.readInt32BE() ?? 0,
    policy: chain.get(5)?.readUInt32BE() === 0 ? 'drop' : 'accept',
  };
};

export const decodeChain = (data: Buffer): NftChain => {
  const attributes = decodeAttributeMap(data);
  return { table: string(attributes, 1), name: string(attributes, 3), hook: decodeHook(attributes) };
};

export const decodeRule = (data: Buffer): NftRule => {
  const attributes = decodeAttributeMap(data);
  const userData = attributes.get(7);
  return {
    table: string(attributes, 1),
    chain: string(attributes, 2),
    handle: attributes.get(3)?.readBigUInt64BE() ?? 0n,
    expressions: decodeExpressions(attributes.get(4) ?? Buffer.alloc(0)),
    comment: userData === undefined ? undefined : decodeComment(userData),
  };
};

export const decodeSet = (data: Buffer): NftSet => {
  const attributes = decodeAttributeMap(data);
  const flags = attributes.get(3)?.readUInt32BE() ?? 0;
  return {
    table: string(attributes, 1),
    name: string(attributes, 2),
    key: dataTypesOfId(attributes.get(4)?.readUInt32BE() ?? 0),
    map: (flags & SET_FLAGS.map) !== 0,
    interval: (flags & SET_FLAGS.interval) !== 0,
  };
};
