import { NETLINK_ROUTE } from '@tsc/sys';

import { invalid, refusal } from '../errors.ts';
import { NetlinkSocket } from '../wire/socket.ts';
import { addressQuery, decodeAddress } from './address.ts';
import type { InterfaceAddress } from './address.ts';
import { AF_INET, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from './headers.ts';
import { decodeLink, linkQuery } from './link.ts';
import type { Link } from './link.ts';
import type { RouteRequest } from './request.ts';
import { decodeRoute, routeQuery } from './route.ts';
import type { Route } from './route.ts';

export interface SocketOptions {
  /** A descriptor of the network namespace to act in; the caller's own by default. May be closed after opening. */
  readonly netnsFd?: number | undefined;
}

/**
 * A connection to the kernel's links, addresses and routes. Close it when done.
 *
 * Synchronous: the kernel answers inside the call, nothing is waited for.
 */
export class RouteSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  constructor(options: SocketOptions = {}) {
    this.#socket = new NetlinkSocket(NETLINK_ROUTE, options.netnsFd);
  }

  /** How many times `sendmsg` was called, for those who count. */
  get sendCount(): number {
    return this.#socket.sendCount;
  }

  /**
   * Performs the requests in order, all sent in one `sendmsg`.
   *
   * Not a transaction: rtnetlink goes on behind a request that fails, so undo what you must when this throws.
   *
   * @throws NetlinkError for the first request that failed, with its `index`, `errno` and the kernel's words
   * @remarks Privilege: CAP_NET_ADMIN in the user namespace that owns the network namespace.
   */
  batch(requests: readonly RouteRequest[]): void {
    if (requests.length === 0) return;
    const [failed] = this.#socket.exchange(requests.map(({ message }) => message)).failures;
    if (failed === undefined) return;
    throw refusal(requests[failed.index]?.description ?? 'send a batch', failed, failed.index);
  }

  /** The link with this name, or undefined. */
  getLink(name: string): Link | undefined {
    const { failures, replies } = this.#socket.exchange([linkQuery({ name })]);
    const [failed] = failures;
    if (failed !== undefined) {
      const error = refusal(`get ${name}`, failed, 0);
      if (error.errno === 'ENODEV') return undefined;
      throw error;
    }
    const reply = replies.find(({ type }) => type === RTM_NEWLINK);
    if (reply === undefined) throw invalid(`the kernel did not describe ${name}`);
    return decodeLink(reply.payload);
  }

  listLinks(): readonly Link[] {
    return this.#socket
      .dump('list links', linkQuery())
      .filter(({ type }) => type === RTM_NEWLINK)
      .map(({ payload }) => decodeLink(payload));
  }

  /** The IPv4 addresses of all interfaces. */
  listAddresses(): readonly InterfaceAddress[] {
    return this.#socket
      .dump('list addresses', addressQuery())
      .filter(({ type, payload }) => type === RTM_NEWADDR && payload.readUInt8(0) === AF_INET)
      .map(({ payload }) => decodeAddress(payload));
  }

  /** The IPv4 routes of all tables; those that people write are in table 254. */
  listRoutes(): readonly Route[] {
    return this.#socket
      .dump('list routes', routeQuery())
      .filter(({ type, payload }) => type === RTM_NEWROUTE && payload.readUInt8(0) === AF_INET)
      .map(({ payload }) => decodeRoute(payload));
  }

  /** Closes the socket; calling it again is fine. */
  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** @throws SysError when the kernel has no such socket or refuses to enter the namespace */
export const openRouteSocket = (options: SocketOptions = {}): RouteSocket => new RouteSocket(options);
