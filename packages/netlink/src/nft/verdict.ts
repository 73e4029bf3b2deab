import { be32, bytes, decodeAttributeMap, nest, readText, text } from '../wire/attribute.ts';
import type { Attribute } from '../wire/attribute.ts';

const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;

const verdictCodes = { drop: 0, accept: 1, continue: -1, break: -2, jump: -3, goto: -4, return: -5 } as const;

/** What becomes of a packet. */
export type NftVerdict =
  | { readonly verdict: 'drop' | 'accept' | 'continue' | 'break' | 'return' }
  | { readonly verdict: 'jump' | 'goto'; readonly chain: string };

/** A constant of an expression or the datum of a map's element. */
export type NftData = Uint8Array | NftVerdict;

const isVerdict = (data: NftData): data is NftVerdict => 'verdict' in data;

export const encodeData = (type: number, data: NftData): Attribute => {
  if (!isVerdict(data)) return nest(type, [bytes(NFTA_DATA_VALUE, data)]);
  const chain = 'chain' in data ? [text(NFTA_VERDICT_CHAIN, data.chain)] : [];
  return nest(type, [nest(NFTA_DATA_VERDICT, [be32(NFTA_VERDICT_CODE, verdictCodes[data.verdict]), ...chain])]);
};

export const decodeData = (attribute: Buffer): NftData => {
  const attributes = decodeAttributeMap(attribute);
  const verdict = attributes.get(NFTA_DATA_VERDICT);
  if (verdict === undefined) return attributes.get(NFTA_DATA_VALUE) ?? Buffer.alloc(0);
  const fields = decodeAttributeMap(verdict);
  const code = fields.get(NFTA_VERDICT_CODE)?.readInt32BE() ?? 0;
  const chain = fields.get(NFTA_VERDICT_CHAIN);
  const name = Object.entries(verdictCodes).find(([, number]) => number === code)?.[0] ?? 'continue';
  return (chain === undefined ? { verdict: name } : { verdict: name, chain: readText(chain) }) as NftVerdict;
};
