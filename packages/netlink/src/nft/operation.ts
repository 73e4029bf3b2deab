import type { NftDataType } from './data-type.ts';
import type { NftExpression } from './expression.ts';
import type { NftData } from './verdict.ts';

/** Protocol families of tables (`NFPROTO_*`); inet is IPv4 and IPv6 together. */
export type NftFamily = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev';

/** Where a base chain is hooked in, and when: lower priorities first. */
export interface NftHook {
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
  /** For packets that no rule decided. */
  readonly policy: 'accept' | 'drop';
}

export interface NftTableName {
  readonly family: NftFamily;
  readonly table: string;
}

/** A key as bytes; with `keyEnd` the whole range, both ends included, of an interval set over a concatenation. */
export interface NftElement {
  readonly key: Uint8Array;
  readonly keyEnd?: Uint8Array | undefined;
  /** The datum, for a map. */
  readonly data?: NftData | undefined;
}

/**
 * One change of the rule set. A transaction performs all of its operations or none. Adding something that is there
 * in the same form is success, save rules, which are added again, and `exclusive` elements.
 */
export type NftOperation = NftTableName &
  (
    | { readonly type: 'add-table' | 'delete-table' }
    | { readonly type: 'add-chain'; readonly chain: string; readonly hook?: NftHook | undefined }
    | { readonly type: 'delete-chain' | 'flush-chain'; readonly chain: string }
    | {
        readonly type: 'add-rule';
        readonly chain: string;
        readonly expressions: readonly NftExpression[];
        /** Shown by `nft list ruleset`; at most 127 bytes. */
        readonly comment?: string | undefined;
      }
    | { readonly type: 'delete-rule'; readonly chain: string; readonly handle: bigint }
    | {
        readonly type: 'add-set';
        readonly set: string;
        readonly key: readonly NftDataType[];
        /** Makes it a map. */
        readonly data?: readonly NftDataType[] | 'verdict' | undefined;
        /** Elements are ranges. */
        readonly interval?: boolean | undefined;
      }
    | { readonly type: 'delete-set'; readonly set: string }
    | {
        readonly type: 'add-elements';
        readonly set: string;
        readonly elements: readonly NftElement[];
        /** Fail when an element is there already, even the very same. */
        readonly exclusive?: boolean | undefined;
        /** What the elements stand for, for the error that names the operation. */
        readonly description?: string | undefined;
      }
    | { readonly type: 'delete-elements'; readonly set: string; readonly elements: readonly NftElement[] }
  );

/** The operation in words: `'add chain ip tsc forward'`. */
export const describeOperation = (operation: NftOperation): string => {
  if (operation.type === 'add-elements' && operation.description !== undefined) return operation.description;
  const object = 'chain' in operation ? ` ${operation.chain}` : 'set' in operation ? ` ${operation.set}` : '';
  return `${operation.type.replace('-', ' ')} ${operation.family} ${operation.table}${object}`;
};
