import { bytes, decodeAttributeMap, decodeAttributes, nest, text } from '../wire/attribute.ts';
import type { Attribute } from '../wire/attribute.ts';
import type { NftElement } from './operation.ts';
import { decodeData, encodeData } from './verdict.ts';

const NFTA_LIST_ELEM = 1;
const NFTA_DATA_VALUE = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_SET_ELEM_KEY_END = 10;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFT_SET_ELEM_INTERVAL_END = 1;

const keyAttribute = (type: number, key: Uint8Array): Attribute => nest(type, [bytes(NFTA_DATA_VALUE, key)]);

const encodeElement = ({ key, keyEnd, data }: NftElement): Attribute =>
  nest(NFTA_LIST_ELEM, [
    keyAttribute(NFTA_SET_ELEM_KEY, key),
    ...(keyEnd === undefined ? [] : [keyAttribute(NFTA_SET_ELEM_KEY_END, keyEnd)]),
    ...(data === undefined ? [] : [encodeData(NFTA_SET_ELEM_DATA, data)]),
  ]);

/** The attributes of a message about elements of one set; without elements it asks for all. */
export const encodeElements = (table: string, set: string, elements: readonly NftElement[]): readonly Attribute[] => [
  text(NFTA_SET_ELEM_LIST_TABLE, table),
  text(NFTA_SET_ELEM_LIST_SET, set),
  ...(elements.length === 0 ? [] : [nest(NFTA_SET_ELEM_LIST_ELEMENTS, elements.map(encodeElement))]),
];

const readKey = (attribute: Buffer | undefined): Buffer | undefined =>
  attribute === undefined ? undefined : decodeAttributeMap(attribute).get(NFTA_DATA_VALUE);

const decodeElement = (element: Buffer): NftElement | undefined => {
  const attributes = decodeAttributeMap(element);
  const key = readKey(attributes.get(NFTA_SET_ELEM_KEY));
  const flags = attributes.get(NFTA_SET_ELEM_FLAGS)?.readUInt32BE() ?? 0;
  if (key === undefined || (flags & NFT_SET_ELEM_INTERVAL_END) !== 0) return undefined;
  const keyEnd = readKey(attributes.get(NFTA_SET_ELEM_KEY_END));
  const data = attributes.get(NFTA_SET_ELEM_DATA);
  return {
    key,
    ...(keyEnd === undefined ? {} : { keyEnd }),
    ...(data === undefined ? {} : { data: decodeData(data) }),
  };
};

/** Reads the elements out of the attributes of an NFT_MSG_NEWSETELEM message. */
export const decodeElements = (attributes: Buffer): readonly NftElement[] => {
  const list = decodeAttributeMap(attributes).get(NFTA_SET_ELEM_LIST_ELEMENTS);
  if (list === undefined) return [];
  return decodeAttributes(list).flatMap(({ data }) => decodeElement(data) ?? []);
};
