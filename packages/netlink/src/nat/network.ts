import { invalid } from '../errors.ts';
import { checkedInterfaceName } from '../interface-name.ts';
import { broadcastAddress, cidrOfRange, formatCidr, ipv4Bytes, networkAddress, parseCidr, subnetOf } from '../ipv4.ts';
import { concatenate, ifnameBytes } from '../nft/data-type.ts';
import type { NftElement } from '../nft/operation.ts';

/** A bridge whose containers share a subnet. */
export interface BridgeNetwork {
  readonly bridge: string;
  /** `172.17.0.0/16`; a host part is ignored. */
  readonly subnet: string;
  /** Nothing is forwarded from or to it, not even to the world outside. */
  readonly internal?: boolean | undefined;
}

const IFNAME_BYTES = 16;

/** The key of the sets `bridges` and `internal_bridges`. */
export const bridgeElement = (bridge: string): NftElement => ({ key: ifnameBytes(checkedInterfaceName(bridge)) });

/** The key of the set `same_bridge`: in by a bridge and out by it again. */
export const sameBridgeElement = (bridge: string): NftElement => {
  const name = ifnameBytes(checkedInterfaceName(bridge));
  return { key: concatenate([name, name]) };
};

/** The key of the set `subnets`: a bridge, by which a packet comes or goes, and a source address of its subnet. */
export const subnetElement = ({ bridge, subnet }: BridgeNetwork): NftElement => {
  const name = ifnameBytes(checkedInterfaceName(bridge));
  const cidr = subnetOf(parseCidr(subnet));
  if (cidr.prefixLength === 0) throw invalid(`not a network's subnet: "${subnet}" is every address there is`);
  return {
    key: concatenate([name, ipv4Bytes(networkAddress(cidr))]),
    keyEnd: concatenate([name, ipv4Bytes(broadcastAddress(cidr))]),
  };
};

/** The bridge that a key of any of these sets begins with. */
export const bridgeOfElement = ({ key }: NftElement): string => {
  const name = Buffer.from(key.subarray(0, IFNAME_BYTES));
  const end = name.indexOf(0);
  return name.toString('utf8', 0, end === -1 ? IFNAME_BYTES : end);
};

/** The pair of {@link subnetElement}; undefined for a range that is no subnet, which we never write. */
export const parseSubnetElement = (element: NftElement): { bridge: string; subnet: string } | undefined => {
  const first = Buffer.from(element.key).readUInt32BE(IFNAME_BYTES);
  const last = Buffer.from(element.keyEnd ?? element.key).readUInt32BE(IFNAME_BYTES);
  const cidr = cidrOfRange(first, last);
  return cidr === undefined ? undefined : { bridge: bridgeOfElement(element), subnet: formatCidr(cidr) };
};
