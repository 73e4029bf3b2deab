import { be32, be64, bytes, nest, text } from '../wire/attribute.ts';
import type { Attribute } from '../wire/attribute.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from '../wire/message.ts';
import type { Message } from '../wire/message.ts';
import { dataLength, dataTypeId, fieldLengths } from './data-type.ts';
import { encodeElements } from './element.ts';
import { encodeExpressions } from './expression.ts';
import type { NftFamily, NftHook, NftOperation } from './operation.ts';
import { encodeComment, encodeHostByteOrder } from './user-data.ts';

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;

export const NFT_MSG = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  deleteChain: 5,
  newRule: 6,
  getRule: 7,
  deleteRule: 8,
  newSet: 9,
  getSet: 10,
  deleteSet: 11,
  newElement: 12,
  getElement: 13,
  deleteElement: 14,
} as const;

export const SET_FLAGS = { interval: 0x4, map: 0x8, concatenation: 0x80 } as const;
const VERDICT_TYPE = 0xffffff00;

const families: Readonly<Record<NftFamily, number>> = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 };
const hooks: readonly NftHook['hook'][] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

export const hookOfNumber = (hook: number): NftHook['hook'] => hooks[hook] ?? 'prerouting';

/** `struct nfgenmsg`, the fixed part of every nf_tables message. */
export const NFT_HEADER_BYTES: number = 4;
const nfgenmsg = (family: number, resource: number): Buffer => Buffer.of(family, 0, resource >> 8, resource & 255);

/** One nf_tables message about a family. */
export const nftMessage = (
  type: number,
  family: NftFamily,
  content: { readonly flags?: number; readonly attributes: readonly Attribute[] },
): Message => ({
  type: (NFNL_SUBSYS_NFTABLES << 8) | type,
  flags: content.flags ?? 0,
  header: nfgenmsg(families[family], 0),
  attributes: content.attributes,
});

const batchMark = (type: number): Message => ({
  type,
  flags: 0,
  header: nfgenmsg(0, NFNL_SUBSYS_NFTABLES),
  attributes: [],
});

/** An attribute holds 64 KiB, and an element with the longest key, range end and datum takes some 250 bytes. */
const ELEMENTS_PER_MESSAGE = 200;

type ElementOperation = Extract<NftOperation, { elements: unknown }>;

const splitElements = (operation: ElementOperation): readonly NftOperation[] =>
  Array.from({ length: Math.ceil(operation.elements.length / ELEMENTS_PER_MESSAGE) }, (_, part) => ({
    ...operation,
    elements: operation.elements.slice(part * ELEMENTS_PER_MESSAGE, (part + 1) * ELEMENTS_PER_MESSAGE),
  }));

/** Messages of one transaction, and for each the index of the operation it belongs to. */
export interface EncodedTransaction {
  readonly messages: readonly Message[];
  /** Undefined for begin and end. */
  readonly operationIndexes: readonly (number | undefined)[];
}

/** The operations as one transaction: what lies between begin and end happens whole or not at all. */
export const encodeTransaction = (operations: readonly NftOperation[]): EncodedTransaction => {
  const parts = operations.flatMap((operation, index) =>
    ('elements' in operation ? splitElements(operation) : [operation]).map((part) => ({ part, index })),
  );
  return {
    messages: [
      batchMark(NFNL_MSG_BATCH_BEGIN),
      ...parts.map(({ part, index }) => encodeOperation(part, index + 1)),
      batchMark(NFNL_MSG_BATCH_END),
    ],
    operationIndexes: [undefined, ...parts.map(({ index }) => index), undefined],
  };
};

const hookAttributes = (hook: NftHook): readonly Attribute[] => [
  nest(4, [be32(1, hooks.indexOf(hook.hook)), be32(2, hook.priority)]),
  be32(5, hook.policy === 'accept' ? 1 : 0),
  text(7, hook.type),
];

type AddSet = Extract<NftOperation, { type: 'add-set' }>;

const setDataAttributes = (data: AddSet['data']): readonly Attribute[] => {
  if (data === undefined) return [];
  if (data === 'verdict') return [be32(6, VERDICT_TYPE), be32(7, 0)];
  return [be32(6, dataTypeId(data)), be32(7, dataLength(data))];
};

/** The kernel needs the fields of a concatenation only to match them as ranges. */
const setAttributes = ({ table, set, key, data, interval }: AddSet, id: number): readonly Attribute[] => {
  const fields = interval === true && key.length > 1 ? fieldLengths(key) : [];
  const flags =
    (data === undefined ? 0 : SET_FLAGS.map) |
    (interval === true ? SET_FLAGS.interval : 0) |
    (fields.length === 0 ? 0 : SET_FLAGS.concatenation);
  return [
    text(1, table),
    text(2, set),
    be32(3, flags),
    be32(4, dataTypeId(key)),
    be32(5, dataLength(key)),
    ...setDataAttributes(data),
    ...(fields.length === 0
      ? []
      : [
          nest(9, [
            nest(
              2,
              fields.map((length) => nest(1, [be32(1, length)])),
            ),
          ]),
        ]),
    be32(10, id), // demanded by the kernel; rules and elements name the set instead
    ...(key.length === 1 && key[0] === 'ifname' ? [bytes(13, encodeHostByteOrder())] : []),
  ];
};

/** One operation as a message. Attribute numbers are those of `<linux/netfilter/nf_tables.h>`. */
const encodeOperation = (operation: NftOperation, id: number): Message => {
  const { family, table } = operation;
  const message = (type: number, flags: number, attributes: readonly Attribute[]): Message =>
    nftMessage(type, family, { flags, attributes });
  switch (operation.type) {
    case 'add-table':
      return message(NFT_MSG.newTable, NLM_F_CREATE, [text(1, table)]);
    case 'delete-table':
      return message(NFT_MSG.deleteTable, 0, [text(1, table)]);
    case 'add-chain': {
      const hook = operation.hook === undefined ? [] : hookAttributes(operation.hook);
      return message(NFT_MSG.newChain, NLM_F_CREATE, [text(1, table), text(3, operation.chain), ...hook]);
    }
    case 'delete-chain':
      return message(NFT_MSG.deleteChain, 0, [text(1, table), text(3, operation.chain)]);
    case 'flush-chain':
      return message(NFT_MSG.deleteRule, 0, [text(1, table), text(2, operation.chain)]);
    case 'add-rule': {
      const comment = operation.comment === undefined ? [] : [bytes(7, encodeComment(operation.comment))];
      const expressions = nest(4, encodeExpressions(operation.expressions));
      const attributes = [text(1, table), text(2, operation.chain), expressions, ...comment];
      return message(NFT_MSG.newRule, NLM_F_CREATE | NLM_F_APPEND, attributes);
    }
    case 'delete-rule':
      return message(NFT_MSG.deleteRule, 0, [text(1, table), text(2, operation.chain), be64(3, operation.handle)]);
    case 'add-set':
      return message(NFT_MSG.newSet, NLM_F_CREATE, setAttributes(operation, id));
    case 'delete-set':
      return message(NFT_MSG.deleteSet, 0, [text(1, table), text(2, operation.set)]);
    case 'add-elements': {
      const exclusive = operation.exclusive === true ? NLM_F_EXCL : 0;
      const attributes = encodeElements(table, operation.set, operation.elements);
      return message(NFT_MSG.newElement, NLM_F_CREATE | exclusive, attributes);
    }
    case 'delete-elements':
      return message(NFT_MSG.deleteElement, 0, encodeElements(table, operation.set, operation.elements));
  }
};
