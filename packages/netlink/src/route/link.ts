import { invalid } from '../errors.ts';
import { checkedInterfaceName } from '../interface-name.ts';
import { formatMac, parseMac } from '../mac.ts';
import { bytes, decodeAttributeMap, encodeAttributes, nest, readText, text, u32, u8 } from '../wire/attribute.ts';
import type { Attribute } from '../wire/attribute.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/message.ts';
import type { Message } from '../wire/message.ts';
import {
  decodeLinkHeader,
  encodeLinkHeader,
  IFF_LOWER_UP,
  IFF_UP,
  LINK_HEADER_BYTES,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './headers.ts';
import type { LinkHeader } from './headers.ts';
import type { RouteRequest } from './request.ts';

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_BRPORT_MODE = 4;
const VETH_INFO_PEER = 1;

/** The loopback device has this index in every network namespace (`LOOPBACK_IFINDEX`). */
export const LOOPBACK_INDEX: number = 1;

/** Says which interface is meant. */
export type LinkSelector =
  { readonly index: number; readonly name?: undefined } | { readonly name: string; readonly index?: undefined };

export interface BridgeOptions {
  readonly name: string;
  /** Bytes, until a port with a smaller MTU comes: only `setLink` makes it stay. */
  readonly mtu?: number | undefined;
  /** MAC address. Without it the bridge takes the lowest of its ports', which changes as they come and go. */
  readonly address?: string | undefined;
  readonly up?: boolean | undefined;
}

export interface VethOptions {
  /** The end that stays in the socket's namespace. */
  readonly name: string;
  readonly peerName: string;
  /** A descriptor of the namespace in which the peer is made. */
  readonly peerNetnsFd: number;
  /** Bytes, for both ends. */
  readonly mtu?: number | undefined;
  readonly mac?: string | undefined;
  readonly peerMac?: string | undefined;
  /** Index of the bridge that the near end becomes a port of. */
  readonly master?: number | undefined;
  /** Sets the near end up. The peer cannot be made up: do it in its namespace. */
  readonly up?: boolean | undefined;
  /** The index the near end shall have; taken ones are refused with `NETLINK_BUSY`. */
  readonly index?: number | undefined;
  /** The peer's index in its namespace. The kernel heeds it only together with `index`. */
  readonly peerIndex?: number | undefined;
}

export interface LinkChanges {
  readonly up?: boolean | undefined;
  /** Index of the bridge to become a port of; 0 leaves the present one. */
  readonly master?: number | undefined;
  /** For a bridge's port: whether frames may leave by the port they came in by. */
  readonly hairpin?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly mac?: string | undefined;
}

/** A network interface as the kernel tells it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Set up by somebody (`IFF_UP`). */
  readonly up: boolean;
  /** Has a carrier (`IFF_LOWER_UP`). */
  readonly carrier: boolean;
  readonly mtu: number;
  readonly mac: string | undefined;
  /** `'bridge'`, `'veth'`, …; undefined for hardware and loopback. */
  readonly kind: string | undefined;
  /** Index of the bridge it is a port of. */
  readonly master: number | undefined;
  /** For veth: the peer's index in the peer's namespace. */
  readonly peerIndex: number | undefined;
}

const upFlags = (up: boolean | undefined): Partial<LinkHeader> =>
  up === undefined ? {} : { flags: up ? IFF_UP : 0, change: IFF_UP };

const checkedIndex = (index: number): number => {
  if (!Number.isInteger(index) || index < 1 || index > 0x7fffffff) {
    throw invalid(`not an interface index: ${String(index)}`);
  }
  return index;
};

const optional = <T>(value: T | undefined, attribute: (value: T) => Attribute): readonly Attribute[] =>
  value === undefined ? [] : [attribute(value)];

const nameAttribute = (name: string): Attribute => text(IFLA_IFNAME, checkedInterfaceName(name));
const mtuAttribute = (mtu: number): Attribute => {
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535)
    throw invalid(`not an MTU: ${String(mtu)}: it is 68 to 65535`);
  return u32(IFLA_MTU, mtu);
};
const macAttribute = (mac: string): Attribute => bytes(IFLA_ADDRESS, parseMac(mac));
const hairpinAttribute = (hairpin: boolean): Attribute =>
  nest(IFLA_LINKINFO, [
    text(IFLA_INFO_SLAVE_KIND, 'bridge'),
    nest(IFLA_INFO_SLAVE_DATA, [u8(IFLA_BRPORT_MODE, hairpin ? 1 : 0)]),
  ]);
const masterAttribute = (index: number): Attribute => u32(IFLA_MASTER, index === 0 ? 0 : checkedIndex(index));

/** Makes a bridge. Fails with `NETLINK_EXISTS` when the name is taken. */
export const addBridge = (options: BridgeOptions): RouteRequest => ({
  description: `add bridge ${options.name}`,
  message: {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: encodeLinkHeader(upFlags(options.up)),
    attributes: [
      nameAttribute(options.name),
      ...optional(options.mtu, mtuAttribute),
      ...optional(options.address, macAttribute),
      nest(IFLA_LINKINFO, [text(IFLA_INFO_KIND, 'bridge')]),
    ],
  },
});

/**
 * Makes a pair of virtual Ethernet devices, one here, one in another namespace under its final name: to move a link
 * later costs some 20 ms. Fails with `NETLINK_EXISTS` when either name is taken.
 */
export const addVeth = (options: VethOptions): RouteRequest => {
  const peerHeader = encodeLinkHeader(
    options.peerIndex === undefined ? {} : { index: checkedIndex(options.peerIndex) },
  );
  const peer = Buffer.concat([
    peerHeader,
    encodeAttributes([
      nameAttribute(options.peerName),
      u32(IFLA_NET_NS_FD, options.peerNetnsFd),
      ...optional(options.mtu, mtuAttribute),
      ...optional(options.peerMac, macAttribute),
    ]),
  ]);
  const index = options.index === undefined ? {} : { index: checkedIndex(options.index) };
  return {
    description: `add veth ${options.name} with peer ${options.peerName}`,
    message: {
      type: RTM_NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      header: encodeLinkHeader({ ...upFlags(options.up), ...index }),
      attributes: [
        nameAttribute(options.name),
        ...optional(options.mtu, mtuAttribute),
        ...optional(options.mac, macAttribute),
        ...optional(options.master, masterAttribute),
        nest(IFLA_LINKINFO, [text(IFLA_INFO_KIND, 'veth'), nest(IFLA_INFO_DATA, [bytes(VETH_INFO_PEER, peer)])]),
      ],
    },
  };
};

const selectorText = (selector: LinkSelector): string => selector.name ?? `interface ${String(selector.index)}`;

const selectorIndex = (selector: LinkSelector): Partial<LinkHeader> =>
  selector.index === undefined ? {} : { index: checkedIndex(selector.index) };

const selectorAttributes = (selector: LinkSelector): readonly Attribute[] =>
  selector.name === undefined ? [] : [nameAttribute(selector.name)];

/** Changes a link, which an earlier request of the same batch may have made. */
export const setLink = (options: LinkSelector & LinkChanges): RouteRequest => ({
  description: `set ${selectorText(options)}`,
  message: {
    type: RTM_NEWLINK,
    flags: 0,
    header: encodeLinkHeader({ ...upFlags(options.up), ...selectorIndex(options) }),
    attributes: [
      ...selectorAttributes(options),
      ...optional(options.master, masterAttribute),
      ...optional(options.mtu, mtuAttribute),
      ...optional(options.mac, macAttribute),
      ...optional(options.hairpin, hairpinAttribute),
    ],
  },
});

/** Sets the loopback device up, which also gives it 127.0.0.1 and ::1. */
export const setLoopbackUp = (): RouteRequest => ({
  ...setLink({ index: LOOPBACK_INDEX, up: true }),
  description: 'set lo up',
});

/** Deletes a link, with a veth its peer too. Takes some 20 ms: the kernel waits until nobody uses it. */
export const deleteLink = (selector: LinkSelector): RouteRequest => ({
  description: `delete ${selectorText(selector)}`,
  message: {
    type: RTM_DELLINK,
    flags: 0,
    header: encodeLinkHeader(selectorIndex(selector)),
    attributes: selectorAttributes(selector),
  },
});

/** The question for one link, or without a selector for all. */
export const linkQuery = (selector?: LinkSelector): Message => ({
  type: RTM_GETLINK,
  flags: 0,
  header: encodeLinkHeader(selector === undefined ? {} : selectorIndex(selector)),
  attributes: selector === undefined ? [] : selectorAttributes(selector),
});

/** Reads the payload of an RTM_NEWLINK message. */
export const decodeLink = (payload: Buffer): Link => {
  const { index, flags } = decodeLinkHeader(payload);
  const attributes = decodeAttributeMap(payload.subarray(LINK_HEADER_BYTES));
  const mac = attributes.get(IFLA_ADDRESS);
  const kind = decodeAttributeMap(attributes.get(IFLA_LINKINFO) ?? Buffer.alloc(0)).get(IFLA_INFO_KIND);
  return {
    index,
    name: readText(attributes.get(IFLA_IFNAME) ?? Buffer.alloc(0)),
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE() ?? 0,
    mac: mac === undefined || mac.length !== 6 ? undefined : formatMac(mac),
    kind: kind === undefined ? undefined : readText(kind),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(),
    peerIndex: attributes.get(IFLA_LINK)?.readUInt32LE(),
  };
};
