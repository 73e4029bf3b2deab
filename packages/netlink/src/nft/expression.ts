import { be32, be64, decodeAttributeMap, decodeAttributes, nest, readText, text, u8 } from '../wire/attribute.ts';
import type { Attribute } from '../wire/attribute.ts';
import { decodeData, encodeData } from './verdict.ts';
import type { NftData } from './verdict.ts';

/**
 * A register as the kernel numbers them: 0 is the verdict, 1 to 4 hold sixteen bytes each, and 8 to 23 are the same
 * memory in units of four, so a concatenation that starts at 1 goes on at 9.
 */
export type NftRegister = number;

const payloadBases = ['link', 'network', 'transport'] as const;
const comparisons = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte'] as const;
const natTypes = ['snat', 'dnat'] as const;
const metaKeys = { mark: 3, iif: 4, oif: 5, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
const ctKeys = { state: 0, direction: 1, status: 2, mark: 3 } as const;
const fibResults = { oif: 1, oifname: 2, type: 3 } as const;

/** One step of a rule. Steps run in order until one does not match. */
export type NftExpression =
  | {
      /** Loads bytes of the packet. */
      readonly name: 'payload';
      readonly destination: NftRegister;
      readonly base: (typeof payloadBases)[number];
      readonly offset: number;
      readonly length: number;
    }
  | { readonly name: 'meta'; readonly destination: NftRegister; readonly key: keyof typeof metaKeys }
  | {
      readonly name: 'cmp';
      readonly source: NftRegister;
      readonly operator: (typeof comparisons)[number];
      readonly data: NftData;
    }
  | {
      /** `destination = (source & mask) ^ xor` */
      readonly name: 'bitwise';
      readonly source: NftRegister;
      readonly destination: NftRegister;
      readonly length: number;
      readonly mask: NftData;
      readonly xor: NftData;
    }
  | {
      /** Matches when the set has the key; with a destination loads the map's datum. */
      readonly name: 'lookup';
      readonly set: string;
      readonly source: NftRegister;
      readonly destination?: NftRegister;
      /** 1 matches when the set has not. */
      readonly flags?: number;
    }
  | { readonly name: 'immediate'; readonly destination: NftRegister; readonly data: NftData }
  | {
      readonly name: 'ct';
      readonly destination: NftRegister;
      readonly key: keyof typeof ctKeys;
      /** 0 is the original direction, 1 the reply. */
      readonly direction?: number;
    }
  | {
      readonly name: 'fib';
      readonly destination: NftRegister;
      readonly result: keyof typeof fibResults;
      /** Bits: 1 source address, 2 destination address, 4 mark, 8 input, 16 output interface. */
      readonly flags: number;
    }
  | {
      readonly name: 'nat';
      readonly type: (typeof natTypes)[number];
      /** 2 for IPv4. */
      readonly family: number;
      readonly addressMin: NftRegister;
      readonly addressMax?: NftRegister;
      readonly portMin?: NftRegister;
      readonly portMax?: NftRegister;
      readonly flags?: number;
    }
  | { readonly name: 'masq'; readonly flags?: number }
  | { readonly name: 'counter'; readonly bytes: bigint; readonly packets: bigint };

type FieldCodec = readonly [encode: (type: number, value: never) => Attribute, decode: (data: Buffer) => unknown];

const readNumber = (data: Buffer): number => data.readUInt32BE();
const number: FieldCodec = [be32, readNumber];
const byte: FieldCodec = [u8, (data) => data.readUInt8()];
const bigint: FieldCodec = [be64, (data) => data.readBigUInt64BE()];
const string: FieldCodec = [text, readText];
const data: FieldCodec = [encodeData, decodeData];
const oneOf = (values: Readonly<Record<string, number>>): FieldCodec => [
  (type: number, value: string) => be32(type, values[value] ?? 0),
  (attribute) => Object.keys(values).find((name) => values[name] === readNumber(attribute)) ?? readNumber(attribute),
];
const numbered = (names: readonly string[]): FieldCodec =>
  oneOf(Object.fromEntries(names.map((name, index) => [name, index])));

/** Of each expression the fields, with their attribute numbers in `<linux/netfilter/nf_tables.h>`. */
const layouts: Readonly<
  Record<NftExpression['name'], Readonly<Record<string, readonly [type: number, codec: FieldCodec]>>>
> = {
  payload: { destination: [1, number], base: [2, numbered(payloadBases)], offset: [3, number], length: [4, number] },
  meta: { destination: [1, number], key: [2, oneOf(metaKeys)] },
  cmp: { source: [1, number], operator: [2, numbered(comparisons)], data: [3, data] },
  bitwise: { source: [1, number], destination: [2, number], length: [3, number], mask: [4, data], xor: [5, data] },
  lookup: { set: [1, string], source: [2, number], destination: [3, number], flags: [5, number] },
  immediate: { destination: [1, number], data: [2, data] },
  ct: { destination: [1, number], key: [2, oneOf(ctKeys)], direction: [3, byte] },
  fib: { destination: [1, number], result: [2, oneOf(fibResults)], flags: [3, number] },
  nat: {
    type: [1, numbered(natTypes)],
    family: [2, number],
    addressMin: [3, number],
    addressMax: [4, number],
    portMin: [5, number],
    portMax: [6, number],
    flags: [7, number],
  },
  masq: { flags: [1, number] },
  counter: { bytes: [1, bigint], packets: [2, bigint] },
};

const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;

const encodeExpression = (expression: NftExpression): Attribute => {
  const values = expression as Readonly<Record<string, unknown>>;
  const fields = Object.entries(layouts[expression.name])
    .filter(([field]) => values[field] !== undefined)
    .map(([field, [type, [encode]]]) => encode(type, values[field] as never));
  return nest(NFTA_LIST_ELEM, [text(NFTA_EXPR_NAME, expression.name), nest(NFTA_EXPR_DATA, fields)]);
};

/** An expression that others wrote and we have no layout for. */
export interface UnknownNftExpression {
  readonly name: 'unknown';
  /** The kernel's name for it. */
  readonly kind: string;
}

const isKnown = (name: string): name is NftExpression['name'] => Object.hasOwn(layouts, name);

const decodeExpression = (element: Buffer): NftExpression | UnknownNftExpression => {
  const attributes = decodeAttributeMap(element);
  const name = readText(attributes.get(NFTA_EXPR_NAME) ?? Buffer.alloc(0));
  if (!isKnown(name)) return { name: 'unknown', kind: name };
  const received = decodeAttributeMap(attributes.get(NFTA_EXPR_DATA) ?? Buffer.alloc(0));
  const fields = Object.entries(layouts[name]).flatMap(([field, [type, [, decode]]]) => {
    const value = received.get(type);
    return value === undefined ? [] : [[field, decode(value)] as const];
  });
  return { name, ...Object.fromEntries(fields) } as NftExpression;
};

/** The value of a rule's NFTA_RULE_EXPRESSIONS. */
export const encodeExpressions = (expressions: readonly NftExpression[]): readonly Attribute[] =>
  expressions.map(encodeExpression);

export const decodeExpressions = (list: Buffer): readonly (NftExpression | UnknownNftExpression)[] =>
  decodeAttributes(list).map((attribute) => decodeExpression(attribute.data));
