import { formatCidr, formatIpv4, ipv4Bytes, parseCidr, parseIpv4, subnetOf } from '../ipv4.ts';
import { bytes, decodeAttributeMap, u32 } from '../wire/attribute.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/message.ts';
import type { Message } from '../wire/message.ts';
import {
  AF_INET,
  decodeRouteHeader,
  encodeRouteHeader,
  ROUTE_HEADER_BYTES,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from './headers.ts';
import type { RouteHeader } from './headers.ts';
import type { RouteRequest } from './request.ts';

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const RTN_UNICAST = 1;

const routeTypes = [
  'unspecified',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
] as const;

export type RouteType = (typeof routeTypes)[number];

export interface RouteOptions {
  /** A subnet, `10.0.0.0/8`, or `'default'`. */
  readonly destination: string;
  readonly gateway?: string | undefined;
  /** The interface's index; may be left out when the gateway tells. */
  readonly index?: number | undefined;
}

/** An IPv4 route. */
export interface Route {
  /** A subnet, or `'default'`. */
  readonly destination: string;
  readonly type: RouteType;
  readonly gateway: string | undefined;
  readonly index: number | undefined;
  /** The source address that packets get. */
  readonly source: string | undefined;
  readonly metric: number | undefined;
  /** 254 is main, 255 local. */
  readonly table: number;
}

const header = (fields: Partial<RouteHeader>): Buffer =>
  encodeRouteHeader({
    family: AF_INET,
    destinationLength: 0,
    sourceLength: 0,
    tos: 0,
    table: 0,
    protocol: 0,
    scope: SCOPE_UNIVERSE,
    type: 0,
    flags: 0,
    ...fields,
  });

/** Adds a route to the main table. Fails with `NETLINK_EXISTS` when there is one to the same destination. */
export const addRoute = (options: RouteOptions): RouteRequest => {
  const { destination, gateway, index } = options;
  const subnet = subnetOf(parseCidr(destination === 'default' ? '0.0.0.0/0' : destination));
  const by = `${gateway === undefined ? '' : ` via ${gateway}`}${index === undefined ? '' : ` on interface ${String(index)}`}`;
  return {
    description: `add route to ${destination}${by}`,
    message: {
      type: RTM_NEWROUTE,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      header: header({
        destinationLength: subnet.prefixLength,
        table: RT_TABLE_MAIN,
        protocol: RTPROT_STATIC,
        scope: gateway === undefined ? SCOPE_LINK : SCOPE_UNIVERSE,
        type: RTN_UNICAST,
      }),
      attributes: [
        ...(subnet.prefixLength === 0 ? [] : [bytes(RTA_DST, ipv4Bytes(subnet.address))]),
        ...(gateway === undefined ? [] : [bytes(RTA_GATEWAY, ipv4Bytes(parseIpv4(gateway)))]),
        ...(index === undefined ? [] : [u32(RTA_OIF, index)]),
      ],
    },
  };
};

export const routeQuery = (): Message => ({ type: RTM_GETROUTE, flags: 0, header: header({}), attributes: [] });

const readIpv4 = (data: Buffer | undefined): string | undefined =>
  data === undefined ? undefined : formatIpv4(data.readUInt32BE());

/** Reads the payload of an RTM_NEWROUTE message of the family AF_INET. */
export const decodeRoute = (payload: Buffer): Route => {
  const { destinationLength, table, type } = decodeRouteHeader(payload);
  const attributes = decodeAttributeMap(payload.subarray(ROUTE_HEADER_BYTES));
  const destination = { address: attributes.get(RTA_DST)?.readUInt32BE() ?? 0, prefixLength: destinationLength };
  return {
    destination: destinationLength === 0 ? 'default' : formatCidr(destination),
    type: routeTypes[type] ?? 'unspecified',
    gateway: readIpv4(attributes.get(RTA_GATEWAY)),
    index: attributes.get(RTA_OIF)?.readUInt32LE(),
    source: readIpv4(attributes.get(RTA_PREFSRC)),
    metric: attributes.get(RTA_PRIORITY)?.readUInt32LE(),
    table: attributes.get(RTA_TABLE)?.readUInt32LE() ?? table,
  };
};
