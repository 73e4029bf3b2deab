/** rtnetlink's message types. */
export const RTM_NEWLINK: number = 16;
export const RTM_DELLINK: number = 17;
export const RTM_GETLINK: number = 18;
export const RTM_NEWADDR: number = 20;
export const RTM_GETADDR: number = 22;
export const RTM_NEWROUTE: number = 24;
export const RTM_GETROUTE: number = 26;

export const AF_UNSPEC: number = 0;
export const AF_INET: number = 2;
export const IFF_UP: number = 0x1;
export const IFF_LOWER_UP: number = 0x10000;

/** `struct ifinfomsg`: the fixed part of link messages. */
export interface LinkHeader {
  readonly family: number;
  readonly deviceType: number;
  /** 0 leaves the choice to the kernel, or the name to say which. */
  readonly index: number;
  readonly flags: number;
  /** Which of `flags` are meant. */
  readonly change: number;
}

export const LINK_HEADER_BYTES: number = 16;

export const encodeLinkHeader = (header: Partial<LinkHeader>): Buffer => {
  const data = Buffer.alloc(LINK_HEADER_BYTES);
  data.writeUInt8(header.family ?? AF_UNSPEC, 0);
  data.writeUInt16LE(header.deviceType ?? 0, 2);
  data.writeInt32LE(header.index ?? 0, 4);
  data.writeUInt32LE(header.flags ?? 0, 8);
  data.writeUInt32LE(header.change ?? 0, 12);
  return data;
};

export const decodeLinkHeader = (data: Buffer): LinkHeader => ({
  family: data.readUInt8(0),
  deviceType: data.readUInt16LE(2),
  index: data.readInt32LE(4),
  flags: data.readUInt32LE(8),
  change: data.readUInt32LE(12),
});

/** `struct ifaddrmsg`: the fixed part of address messages. */
export interface AddressHeader {
  readonly family: number;
  readonly prefixLength: number;
  readonly flags: number;
  readonly scope: number;
  readonly index: number;
}

export const ADDRESS_HEADER_BYTES: number = 8;

export const encodeAddressHeader = (header: AddressHeader): Buffer => {
  const data = Buffer.alloc(ADDRESS_HEADER_BYTES);
  data.set([header.family, header.prefixLength, header.flags, header.scope]);
  data.writeUInt32LE(header.index, 4);
  return data;
};

export const decodeAddressHeader = (data: Buffer): AddressHeader => ({
  family: data.readUInt8(0),
  prefixLength: data.readUInt8(1),
  flags: data.readUInt8(2),
  scope: data.readUInt8(3),
  index: data.readUInt32LE(4),
});

/** `struct rtmsg`: the fixed part of route messages. */
export interface RouteHeader {
  readonly family: number;
  readonly destinationLength: number;
  readonly sourceLength: number;
  readonly tos: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}

export const ROUTE_HEADER_BYTES: number = 12;

export const encodeRouteHeader = (header: RouteHeader): Buffer => {
  const data = Buffer.alloc(ROUTE_HEADER_BYTES);
  const { family, destinationLength, sourceLength, tos, table, protocol, scope, type } = header;
  data.set([family, destinationLength, sourceLength, tos, table, protocol, scope, type]);
  data.writeUInt32LE(header.flags, 8);
  return data;
};

export const decodeRouteHeader = (data: Buffer): RouteHeader => ({
  family: data.readUInt8(0),
  destinationLength: data.readUInt8(1),
  sourceLength: data.readUInt8(2),
  tos: data.readUInt8(3),
  table: data.readUInt8(4),
  protocol: data.readUInt8(5),
  scope: data.readUInt8(6),
  type: data.readUInt8(7),
  flags: data.readUInt32LE(8),
});
