import { NETLINK_NETFILTER } from '@tsc/sys';

import { NetlinkError, refusal } from '../errors.ts';
import type { SocketOptions } from '../route/socket.ts';
import { text } from '../wire/attribute.ts';
import type { Attribute } from '../wire/attribute.ts';
import { NetlinkSocket } from '../wire/socket.ts';
import { decodeElements, encodeElements } from './element.ts';
import { encodeTransaction, NFT_HEADER_BYTES, NFT_MSG, nftMessage } from './message.ts';
import { decodeChain, decodeRule, decodeSet, decodeTable } from './object.ts';
import type { NftChain, NftRule, NftSet, NftTable } from './object.ts';
import { describeOperation } from './operation.ts';
import type { NftElement, NftFamily, NftOperation, NftTableName } from './operation.ts';

/** Each element asked for is answered by a datagram of its own; so many surely fit into a receive buffer. */
const ELEMENTS_PER_QUERY = 64;
/**
 * For a moment after a set has grown the kernel moves its elements to a larger hash table, and a list of more than one
 * datagram has some of them twice and others not at all. The former shows; then the list is read again.
 */
const LIST_ATTEMPTS = 50;
const EMPTY = Buffer.alloc(0);

/**
 * A connection to the kernel's nf_tables. Close it when done.
 *
 * Synchronous: the kernel answers inside the call, nothing is waited for.
 */
export class NftSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  constructor(options: SocketOptions = {}) {
    this.#socket = new NetlinkSocket(NETLINK_NETFILTER, options.netnsFd);
  }

  /** How many times `sendmsg` was called, for those who count. */
  get sendCount(): number {
    return this.#socket.sendCount;
  }

  /**
   * Performs all operations or none, sent in one `sendmsg`. Packets see the rules from before or from after.
   *
   * @throws NetlinkError for the first operation that failed, with its `index`, `errno` and the kernel's words
   * @remarks Privilege: CAP_NET_ADMIN in the user namespace that owns the network namespace.
   */
  transaction(operations: readonly NftOperation[]): void {
    const { messages, operationIndexes } = encodeTransaction(operations);
    const last = messages.length - 2;
    if (last === 0) return; // nothing between begin and end
    // The acknowledgement of the last operation comes after the commit, and only with it.
    const [failed] = this.#socket.exchange(messages, last).failures;
    if (failed === undefined) return;
    const index = operationIndexes[failed.index];
    const operation = index === undefined ? undefined : operations[index];
    // A refusal of the whole, such as a commit that fails or a missing privilege, is told of the beginning.
    const description = operation === undefined ? 'commit a transaction' : describeOperation(operation);
    throw refusal(description, failed, index);
  }

  listTables(family: NftFamily): readonly NftTable[] {
    return this.#list(NFT_MSG.getTable, family, { what: 'tables', attributes: [] }).map(decodeTable);
  }

  /** The chains of a table; none when there is no such table. */
  listChains({ family, table }: NftTableName): readonly NftChain[] {
    // The kernel dumps the chains of all tables, whichever is asked for.
    return this.#list(NFT_MSG.getChain, family, { what: 'chains', attributes: [] })
      .map(decodeChain)
      .filter((chain) => chain.table === table);
  }

  /** The rules of a table, chain by chain and in their order; none when there is no such table. */
  listRules({ family, table }: NftTableName): readonly NftRule[] {
    return this.#list(NFT_MSG.getRule, family, { what: 'rules', attributes: [text(1, table)] }).map(decodeRule);
  }

  /** @throws NetlinkError `NETLINK_NOT_FOUND`: no such table */
  listSets({ family, table }: NftTableName): readonly NftSet[] {
    return this.#list(NFT_MSG.getSet, family, { what: 'sets', attributes: [text(1, table)] }).map(decodeSet);
  }

  /**
   * The elements of a set, in no order.
   *
   * @throws NetlinkError `NETLINK_NOT_FOUND`: no such table or set
   * @throws NetlinkError `NETLINK_OVERRUN`: the set did not hold still
   */
  listElements({ family, table, set }: NftTableName & { readonly set: string }): readonly NftElement[] {
    const attributes = encodeElements(table, set, []);
    for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt += 1) {
      const elements = this.#list(NFT_MSG.getElement, family, { what: `elements of ${set}`, attributes }).flatMap(
        decodeElements,
      );
      const keys = new Set(elements.map(({ key, keyEnd }) => Buffer.concat([key, keyEnd ?? EMPTY]).toString('hex')));
      if (keys.size === elements.length) return elements;
    }
    throw new NetlinkError('NETLINK_OVERRUN', `cannot list elements of ${set}: the set does not hold still`);
  }

  /** Those of the elements, asked for by key, that are there, with their data. Without a table there are none. */
  findElements(
    { family, table, set }: NftTableName & { readonly set: string },
    keys: readonly Uint8Array[],
  ): readonly NftElement[] {
    const found: NftElement[] = [];
    for (let start = 0; start < keys.length; start += ELEMENTS_PER_QUERY) {
      const queries = keys
        .slice(start, start + ELEMENTS_PER_QUERY)
        .map((key) => nftMessage(NFT_MSG.getElement, family, { attributes: encodeElements(table, set, [{ key }]) }));
      const { failures, replies } = this.#socket.exchange(queries);
      for (const failed of failures) {
        const error = refusal(`find elements of ${set}`, failed, failed.index);
        if (error.errno !== 'ENOENT') throw error;
      }
      found.push(...replies.flatMap(({ payload }) => decodeElements(payload.subarray(NFT_HEADER_BYTES))));
    }
    return found;
  }

  #list(
    type: number,
    family: NftFamily,
    { what, attributes }: { readonly what: string; readonly attributes: readonly Attribute[] },
  ): readonly Buffer[] {
    return this.#socket
      .dump(`list ${what}`, nftMessage(type, family, { attributes }))
      .map(({ payload }) => payload.subarray(NFT_HEADER_BYTES));
  }

  /** Closes the socket; calling it again is fine. */
  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** @throws NetlinkError `NETLINK_UNSUPPORTED`: this kernel has no netfilter sockets */
export const openNftSocket = (options: SocketOptions = {}): NftSocket => new NftSocket(options);
