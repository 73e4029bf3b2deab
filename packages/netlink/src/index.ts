export { isNetlinkError, NetlinkError } from './errors.ts';
export type { NetlinkErrorCode, NetlinkErrorDetails } from './errors.ts';
export { checkedInterfaceName, INTERFACE_NAME_MAX } from './interface-name.ts';
export {
  broadcastAddress,
  cidrOfRange,
  containsAddress,
  formatCidr,
  formatIpv4,
  hostAddress,
  hostCount,
  hosts,
  netmask,
  networkAddress,
  overlaps,
  parseCidr,
  parseIpv4,
  subnetOf,
} from './ipv4.ts';
export type { Cidr } from './ipv4.ts';
export { formatMac, macFromIpv4, parseMac } from './mac.ts';

export { addAddress } from './route/address.ts';
export type { AddressOptions, InterfaceAddress } from './route/address.ts';
export { connectVeth, createBridge, planVethContainer, planVethHost, removeLink } from './route/container.ts';
export type { BridgeCreation, VethConnection, VethIndexes } from './route/container.ts';
export { addBridge, addVeth, deleteLink, LOOPBACK_INDEX, setLink, setLoopbackUp } from './route/link.ts';
export type { BridgeOptions, Link, LinkChanges, LinkSelector, VethOptions } from './route/link.ts';
export type { RouteRequest } from './route/request.ts';
export { addRoute } from './route/route.ts';
export type { Route, RouteOptions, RouteType } from './route/route.ts';
export { openRouteSocket, RouteSocket } from './route/socket.ts';
export type { SocketOptions } from './route/socket.ts';

export { concatenate, ifnameBytes } from './nft/data-type.ts';
export type { NftDataType } from './nft/data-type.ts';
export type { NftExpression, NftRegister, UnknownNftExpression } from './nft/expression.ts';
export type { NftChain, NftRule, NftSet, NftTable } from './nft/object.ts';
export { describeOperation } from './nft/operation.ts';
export type { NftElement, NftFamily, NftHook, NftOperation, NftTableName } from './nft/operation.ts';
export { NftSocket, openNftSocket } from './nft/socket.ts';
export type { NftData, NftVerdict } from './nft/verdict.ts';

export type { BridgeNetwork } from './nat/network.ts';
export {
  NAT_TABLE,
  planBridgeRules,
  planElementRemoval,
  planNatTable,
  planNatTableRemoval,
  planPortPublication,
} from './nat/plan.ts';
export { findPortConflict, formatHostPort, portsConflict } from './nat/port.ts';
export type { PortProtocol, PublishedPort } from './nat/port.ts';
export {
  addBridgeRules,
  deleteNatTable,
  ensureNatTable,
  listNatTable,
  listPublishedPorts,
  publishPorts,
  removeBridgeRules,
  unpublishPorts,
} from './nat/table.ts';
export type { NatTable } from './nat/table.ts';
