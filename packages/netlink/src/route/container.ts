import { randomInt } from 'node:crypto';

import { isNetlinkError } from '../errors.ts';
import { macFromIpv4 } from '../mac.ts';
import { addAddress } from './address.ts';
import { addBridge, addVeth, deleteLink, setLink, setLoopbackUp } from './link.ts';
import { formatIpv4, parseCidr } from '../ipv4.ts';
import type { RouteRequest } from './request.ts';
import { addRoute } from './route.ts';
import { openRouteSocket } from './socket.ts';
import type { RouteSocket } from './socket.ts';

/** The index the first interface of a namespace gets, and what people expect to see in a container. */
const FIRST_INDEX = 2;
const RANDOM_INDEX_FROM = 1 << 20;
const RANDOM_INDEX_TO = 0x7fffffff;
const INDEX_ATTEMPTS = 5;

export interface VethConnection {
  /** A socket in the bridge's namespace. */
  readonly host: RouteSocket;
  /** The container's network namespace; only borrowed. */
  readonly netnsFd: number;
  readonly bridgeIndex: number;
  /** The name of the bridge's end: unique among the host's links, 1 to 15 bytes. */
  readonly hostName: string;
  readonly containerName: string;
  /** The container end's MAC address. */
  readonly mac: string;
  /** Bytes, for both ends. */
  readonly mtu: number;
  /** The container's address with its prefix. */
  readonly address: string;
  /** Where the default route leads; without it there is none, as for a container's second network. */
  readonly gateway?: string | undefined;
}

export interface VethIndexes {
  readonly hostIndex: number;
  readonly containerIndex: number;
}

/** The requests for the bridge's namespace. Both indexes are fixed, so that nothing needs to be looked up between. */
export const planVethHost = (
  connection: Omit<VethConnection, 'host'>,
  indexes: VethIndexes,
): readonly RouteRequest[] => [
  addVeth({
    name: connection.hostName,
    index: indexes.hostIndex,
    master: connection.bridgeIndex,
    up: true,
    mtu: connection.mtu,
    peerName: connection.containerName,
    peerIndex: indexes.containerIndex,
    peerMac: connection.mac,
    peerNetnsFd: connection.netnsFd,
  }),
  // With br_netfilter a container that asks for its own published port is sent back by the bridge, not by routing.
  setLink({ index: indexes.hostIndex, hairpin: true }),
];

/** The requests for the container's namespace. */
export const planVethContainer = (
  connection: Pick<VethConnection, 'address' | 'gateway'>,
  index: number,
): readonly RouteRequest[] => [
  setLoopbackUp(),
  addAddress({ index, address: connection.address }),
  setLink({ index, up: true }),
  ...(connection.gateway === undefined
    ? []
    : [addRoute({ destination: 'default', gateway: connection.gateway, index })]),
];

/**
 * Connects a network namespace to a bridge by a veth pair and configures it: loopback up, address, default route. Two
 * batches, one on each side. On failure the pair is gone again.
 *
 * @throws NetlinkError `NETLINK_EXISTS`: `hostName` or `containerName` is taken
 */
export const connectVeth = (connection: VethConnection): VethIndexes => {
  using container = openRouteSocket({ netnsFd: connection.netnsFd });
  // Built before the first effect, so that a wrong address is refused while nothing is there to undo.
  planVethContainer(connection, FIRST_INDEX);
  const indexes = addVethWithFreeIndexes(connection);
  try {
    container.batch(planVethContainer(connection, indexes.containerIndex));
  } catch (error) {
    connection.host.batch([deleteLink({ index: indexes.hostIndex })]);
    throw error;
  }
  return indexes;
};

/** Undoes the host's side when the error is of another request than the one that makes the pair. */
const addVethOrNothing = (connection: VethConnection, indexes: VethIndexes): void => {
  try {
    connection.host.batch(planVethHost(connection, indexes));
  } catch (error) {
    if (isNetlinkError(error) && error.index !== 0) connection.host.batch([deleteLink({ index: indexes.hostIndex })]);
    throw error;
  }
};

/** An index may be taken, in the namespace by a device that the kernel puts in each (tunl0); then others are tried. */
const addVethWithFreeIndexes = (connection: VethConnection): VethIndexes => {
  for (let attempt = 1; ; attempt += 1) {
    const hostIndex = randomInt(RANDOM_INDEX_FROM, RANDOM_INDEX_TO);
    const indexes = { hostIndex, containerIndex: attempt === 1 ? FIRST_INDEX : hostIndex };
    try {
      addVethOrNothing(connection, indexes);
      return indexes;
    } catch (error) {
      if (!isNetlinkError(error) || error.code !== 'NETLINK_BUSY' || attempt === INDEX_ATTEMPTS) throw error;
    }
  }
};

export interface BridgeCreation {
  readonly host: RouteSocket;
  readonly name: string;
  /** The bridge's own address with its prefix, the containers' gateway. */
  readonly address: string;
  /** Bytes; without it the smallest of the ports'. */
  readonly mtu?: number | undefined;
  /** By default made of the address: it must not change when ports do. */
  readonly mac?: string | undefined;
}

/**
 * Makes a bridge with an address and sets it up. On failure it is gone again.
 *
 * @throws NetlinkError `NETLINK_EXISTS`: the name is taken
 */
export const createBridge = (creation: BridgeCreation): { readonly index: number } => {
  const { host, name, address, mtu } = creation;
  const mac = creation.mac ?? macFromIpv4(formatIpv4(parseCidr(address).address));
  host.batch([addBridge({ name, address: mac, up: true })]);
  try {
    // An MTU given at creation would follow the ports'; only one that is set later stays.
    if (mtu !== undefined) host.batch([setLink({ name, mtu })]);
    const index = host.getLink(name)?.index ?? 0;
    host.batch([addAddress({ index, address })]);
    return { index };
  } catch (error) {
    removeLink({ host, name });
    throw error;
  }
};

/** Deletes a link by name; that there is none is success. */
export const removeLink = ({ host, name }: { readonly host: RouteSocket; readonly name: string }): void => {
  try {
    host.batch([deleteLink({ name })]);
  } catch (error) {
    if (!isNetlinkError(error) || error.code !== 'NETLINK_NOT_FOUND') throw error;
  }
};
