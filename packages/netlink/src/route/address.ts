import { formatCidr, formatIpv4, ipv4Bytes, parseCidr, parseIpv4 } from '../ipv4.ts';
import { bytes, decodeAttributeMap, readText } from '../wire/attribute.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/message.ts';
import type { Message } from '../wire/message.ts';
import {
  ADDRESS_HEADER_BYTES,
  AF_INET,
  decodeAddressHeader,
  encodeAddressHeader,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './headers.ts';
import type { RouteRequest } from './request.ts';

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_BROADCAST = 4;

export interface AddressOptions {
  /** The interface's index: the kernel takes no name here. */
  readonly index: number;
  /** With its prefix: `172.17.0.1/16`. The kernel adds the route to the subnet itself. */
  readonly address: string;
  readonly broadcast?: string | undefined;
}

/** An IPv4 address of an interface. */
export interface InterfaceAddress {
  readonly index: number;
  /** With its prefix: `172.17.0.1/16`. */
  readonly address: string;
  readonly broadcast: string | undefined;
  readonly label: string | undefined;
}

/** Gives an interface an IPv4 address. Fails with `NETLINK_EXISTS` when it has it. */
export const addAddress = (options: AddressOptions): RouteRequest => {
  const { address, prefixLength } = parseCidr(options.address);
  const local = ipv4Bytes(address);
  const broadcast = options.broadcast === undefined ? undefined : ipv4Bytes(parseIpv4(options.broadcast));
  return {
    description: `add address ${options.address} to interface ${String(options.index)}`,
    message: {
      type: RTM_NEWADDR,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      header: encodeAddressHeader({ family: AF_INET, prefixLength, flags: 0, scope: 0, index: options.index }),
      attributes: [
        bytes(IFA_LOCAL, local),
        bytes(IFA_ADDRESS, local),
        ...(broadcast === undefined ? [] : [bytes(IFA_BROADCAST, broadcast)]),
      ],
    },
  };
};

export const addressQuery = (): Message => ({
  type: RTM_GETADDR,
  flags: 0,
  header: encodeAddressHeader({ family: AF_INET, prefixLength: 0, flags: 0, scope: 0, index: 0 }),
  attributes: [],
});

const readIpv4 = (data: Buffer | undefined): string | undefined =>
  data === undefined ? undefined : formatIpv4(data.readUInt32BE());

/** Reads the payload of an RTM_NEWADDR message of the family AF_INET. */
export const decodeAddress = (payload: Buffer): InterfaceAddress => {
  const { index, prefixLength } = decodeAddressHeader(payload);
  const attributes = decodeAttributeMap(payload.subarray(ADDRESS_HEADER_BYTES));
  // IFA_ADDRESS is the other end's on point-to-point links; IFA_LOCAL is always ours.
  const address = (attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS))?.readUInt32BE() ?? 0;
  const label = attributes.get(IFA_LABEL);
  return {
    index,
    address: formatCidr({ address, prefixLength }),
    broadcast: readIpv4(attributes.get(IFA_BROADCAST)),
    label: label === undefined ? undefined : readText(label),
  };
};
