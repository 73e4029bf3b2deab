import { invalid } from './errors.ts';

/** An IPv4 address with its prefix, `172.17.0.1/16`, as numbers. */
export interface Cidr {
  /** The address as written, host part included, as an unsigned 32-bit number. */
  readonly address: number;
  readonly prefixLength: number;
}

const CIDR = /^([0-9.]+)\/([0-9]{1,2})$/;

/**
 * The address as an unsigned 32-bit number.
 *
 * Strict: four decimal numbers without leading zeros, which some programs would read as octal.
 *
 * @throws NetlinkError `NETLINK_INVALID`
 */
export const parseIpv4 = (address: string): number => {
  const parts = address.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) {
    throw invalid(`not an IPv4 address: "${address}"`);
  }
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
};

/** The pair of {@link parseIpv4}. */
export const formatIpv4 = (address: number): string =>
  [24, 16, 8, 0].map((shift) => String((address >>> shift) & 255)).join('.');

/** @throws NetlinkError `NETLINK_INVALID`: not `a.b.c.d/n` with n from 0 to 32 */
export const parseCidr = (cidr: string): Cidr => {
  const [, address, prefix] = CIDR.exec(cidr) ?? [];
  if (address === undefined || prefix === undefined || Number(prefix) > 32) {
    throw invalid(`not an IPv4 address with a prefix, as in 172.17.0.1/16: "${cidr}"`);
  }
  return { address: parseIpv4(address), prefixLength: Number(prefix) };
};

export const formatCidr = ({ address, prefixLength }: Cidr): string => `${formatIpv4(address)}/${String(prefixLength)}`;

export const netmask = (prefixLength: number): number =>
  prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;

/** The first address of the subnet: the host part is zero. */
export const networkAddress = ({ address, prefixLength }: Cidr): number => (address & netmask(prefixLength)) >>> 0;

/** The last address of the subnet: the host part is all ones. */
export const broadcastAddress = ({ address, prefixLength }: Cidr): number => (address | ~netmask(prefixLength)) >>> 0;

/** The same subnet, named by its first address: `172.17.0.1/16` becomes `172.17.0.0/16`. */
export const subnetOf = (cidr: Cidr): Cidr => ({ address: networkAddress(cidr), prefixLength: cidr.prefixLength });

/** The subnet from a first to a last address, when there is one. */
export const cidrOfRange = (first: number, last: number): Cidr | undefined => {
  const prefixLength = Math.clz32((first ^ last) >>> 0);
  const cidr = { address: first, prefixLength };
  return networkAddress(cidr) === first && broadcastAddress(cidr) === last ? cidr : undefined;
};

/** True when the two subnets share an address. */
export const overlaps = (a: Cidr, b: Cidr): boolean =>
  networkAddress(a) <= broadcastAddress(b) && networkAddress(b) <= broadcastAddress(a);

export const containsAddress = (cidr: Cidr, address: number): boolean =>
  networkAddress(cidr) <= address && address <= broadcastAddress(cidr);

/** How many addresses can be given to hosts: without network and broadcast address, which /31 and /32 lack (RFC 3021). */
export const hostCount = ({ prefixLength }: Cidr): number =>
  prefixLength >= 31 ? 2 ** (32 - prefixLength) : 2 ** (32 - prefixLength) - 2;

/** The address of host `index` of the subnet, from 0; undefined past the last. */
export const hostAddress = (cidr: Cidr, index: number): number | undefined => {
  if (index < 0 || index >= hostCount(cidr)) return undefined;
  return networkAddress(cidr) + index + (cidr.prefixLength >= 31 ? 0 : 1);
};

/** Every address that can be given to a host, ascending. Lazy: a /8 has sixteen million. */
export function* hosts(cidr: Cidr): Generator<number, void, undefined> {
  const count = hostCount(cidr);
  const first = networkAddress(cidr) + (cidr.prefixLength >= 31 ? 0 : 1);
  for (let index = 0; index < count; index += 1) yield first + index;
}

/** The four bytes in network order. */
export const ipv4Bytes = (address: number): Buffer => {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(address >>> 0);
  return data;
};
