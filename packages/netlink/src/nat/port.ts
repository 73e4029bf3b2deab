import { invalid } from '../errors.ts';
import { formatIpv4, ipv4Bytes, parseIpv4 } from '../ipv4.ts';
import { concatenate } from '../nft/data-type.ts';
import type { NftElement } from '../nft/operation.ts';

const protocols = { tcp: 6, udp: 17, sctp: 132 } as const;

export type PortProtocol = keyof typeof protocols;

/** A port of this host that leads to a port of a container. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  /** An address of this host, or `0.0.0.0` for all of them, 127.0.0.1 included. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerAddress: string;
  readonly containerPort: number;
}

export const ANY_ADDRESS: string = '0.0.0.0';

/** The host's side in words: `'tcp 0.0.0.0:8080'`. */
export const formatHostPort = ({ protocol, hostAddress, hostPort }: PublishedPort): string =>
  `${protocol} ${hostAddress}:${String(hostPort)}`;

const portBytes = (port: number): Buffer => {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid(`not a port: ${String(port)}`);
  return Buffer.of(port >> 8, port & 255);
};

/** The two maps: one for ports of a certain address, one for ports of any. */
export type PortMap = 'ports' | 'ports_any';

export const portMap = ({ hostAddress }: PublishedPort): PortMap =>
  hostAddress === ANY_ADDRESS ? 'ports_any' : 'ports';

/**
 * The port as an element of its map.
 *
 * @throws NetlinkError `NETLINK_INVALID`: an address or a port that is none
 */
export const portElement = (port: PublishedPort): NftElement => {
  const service = [Buffer.of(protocols[port.protocol]), portBytes(port.hostPort)];
  const hostAddress = parseIpv4(port.hostAddress);
  return {
    key: concatenate(hostAddress === 0 ? service : [ipv4Bytes(hostAddress), ...service]),
    data: concatenate([ipv4Bytes(parseIpv4(port.containerAddress)), portBytes(port.containerPort)]),
  };
};

const ADDRESS_BYTES = 4;

/** The pair of {@link portElement}; undefined for what we never write. */
export const parsePortElement = (map: PortMap, { key, data }: NftElement): PublishedPort | undefined => {
  if (data === undefined || !('byteLength' in data)) return undefined;
  const host = Buffer.from(key);
  const container = Buffer.from(data);
  const service = host.subarray(map === 'ports' ? ADDRESS_BYTES : 0);
  const protocol = Object.entries(protocols).find(([, number]) => number === service.readUInt8(0))?.[0];
  if (protocol === undefined) return undefined;
  return {
    protocol: protocol as PortProtocol,
    hostAddress: map === 'ports' ? formatIpv4(host.readUInt32BE(0)) : ANY_ADDRESS,
    hostPort: service.readUInt16BE(ADDRESS_BYTES),
    containerAddress: formatIpv4(container.readUInt32BE(0)),
    containerPort: container.readUInt16BE(ADDRESS_BYTES),
  };
};

/** True when both claim the same port of the host: `0.0.0.0:80` claims it on every address. */
export const portsConflict = (a: PublishedPort, b: PublishedPort): boolean =>
  a.protocol === b.protocol &&
  a.hostPort === b.hostPort &&
  (a.hostAddress === b.hostAddress || a.hostAddress === ANY_ADDRESS || b.hostAddress === ANY_ADDRESS);

/** The first of `wanted` that conflicts with one of `taken` or with another of `wanted`. */
export const findPortConflict = (
  wanted: readonly PublishedPort[],
  taken: readonly PublishedPort[],
): PublishedPort | undefined => {
  const service = ({ protocol, hostPort }: PublishedPort): string => `${protocol} ${String(hostPort)}`;
  const claims = Map.groupBy(taken, service);
  return wanted.find((port) => {
    const others = claims.get(service(port)) ?? [];
    if (others.some((other) => portsConflict(port, other))) return true;
    claims.set(service(port), [...others, port]);
    return false;
  });
};
