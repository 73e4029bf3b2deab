import { isNetlinkError, NetlinkError } from '../errors.ts';
import type { NftElement, NftOperation } from '../nft/operation.ts';
import type { NftSocket } from '../nft/socket.ts';
import { bridgeOfElement, parseSubnetElement } from './network.ts';
import type { BridgeNetwork } from './network.ts';
import {
  NAT_TABLE,
  planBridgeRules,
  planElementRemoval,
  planNatTable,
  planNatTableRemoval,
  plannedRuleCounts,
  planPortPublication,
} from './plan.ts';
import { findPortConflict, formatHostPort, parsePortElement, portElement, portMap } from './port.ts';
import type { PortMap, PublishedPort } from './port.ts';

/** What removal found may be gone when it acts: somebody else removed it too. Then it looks again. */
const REMOVAL_ATTEMPTS = 10;

const bridgeSets = ['bridges', 'internal_bridges', 'same_bridge', 'subnets'] as const;
const portMaps: readonly PortMap[] = ['ports', 'ports_any'];

/** What the table holds. */
export interface NatTable {
  /** False when somebody flushed chains or deleted rules: then {@link ensureNatTable} is due. */
  readonly complete: boolean;
  readonly networks: readonly BridgeNetwork[];
  readonly ports: readonly PublishedPort[];
}

const isMissing = (error: unknown): boolean => isNetlinkError(error) && error.errno === 'ENOENT';

/**
 * Makes the table `ip tsc` with its chains and maps, or repairs its rules. Elements stay, so it may be called at any
 * time and by several processes at once; each call is one transaction.
 *
 * @throws NetlinkError `NETLINK_EXISTS`: there is a table `ip tsc` of a different make
 */
export const ensureNatTable = (socket: NftSocket): void => {
  socket.transaction(planNatTable());
};

/** Deletes the table and all that is in it; that there is none is success. */
export const deleteNatTable = (socket: NftSocket): void => {
  try {
    socket.transaction(planNatTableRemoval());
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
};

/**
 * Applies the rules of the table to a bridge. Done again it changes nothing; to make a network internal or not,
 * remove its rules first.
 *
 * @throws NetlinkError `NETLINK_NOT_FOUND`: no table, see {@link ensureNatTable}
 */
export const addBridgeRules = (socket: NftSocket, network: BridgeNetwork): void => {
  socket.transaction(planBridgeRules(network));
};

/** Takes a bridge out of the table, whatever its subnets; that it is not in there is success. */
export const removeBridgeRules = (socket: NftSocket, { bridge }: Pick<BridgeNetwork, 'bridge'>): void => {
  remove(socket, () =>
    bridgeSets.flatMap((set) =>
      planElementRemoval(
        set,
        listElements(socket, set).filter((element) => bridgeOfElement(element) === bridge),
      ),
    ),
  );
};

/**
 * Publishes all of the ports or none.
 *
 * The kernel refuses a port that is there under the same address. That `0.0.0.0:80` and `10.0.0.1:80` exclude each
 * other it cannot know: hold a lock, and check {@link findPortConflict} with {@link listPublishedPorts} before.
 *
 * @throws NetlinkError `NETLINK_PORT_TAKEN`, naming the port
 * @throws NetlinkError `NETLINK_NOT_FOUND`: no table, see {@link ensureNatTable}
 */
export const publishPorts = (socket: NftSocket, ports: readonly PublishedPort[]): void => {
  const conflict = findPortConflict(ports, []);
  if (conflict !== undefined) throw portTaken(conflict, 'asked for twice', {});
  try {
    socket.transaction(planPortPublication(ports));
  } catch (error) {
    // EEXIST: the very same element; EBUSY: the same key with another datum.
    if (!isNetlinkError(error) || (error.errno !== 'EEXIST' && error.errno !== 'EBUSY')) throw error;
    const port = ports[error.index ?? 0];
    if (port === undefined) throw error;
    throw portTaken(port, 'already published', error);
  }
};

const portTaken = (
  port: PublishedPort,
  why: string,
  { index, errno, request }: Partial<Pick<NetlinkError, 'index' | 'errno' | 'request'>>,
): NetlinkError =>
  new NetlinkError('NETLINK_PORT_TAKEN', `cannot publish ${formatHostPort(port)}: ${why}`, { index, errno, request });

/** Withdraws those of the ports that are published as given. One that leads to another container meanwhile stays. */
export const unpublishPorts = (socket: NftSocket, ports: readonly PublishedPort[]): void => {
  remove(socket, () => portMaps.flatMap((set) => planElementRemoval(set, publishedElements(socket, set, ports))));
};

const publishedElements = (socket: NftSocket, set: PortMap, ports: readonly PublishedPort[]): readonly NftElement[] => {
  const wanted = ports.filter((port) => portMap(port) === set).map(portElement);
  const text = ({ key, data }: NftElement): string => Buffer.concat([key, data as Uint8Array]).toString('hex');
  const ours = new Set(wanted.map(text));
  return socket
    .findElements(
      { ...NAT_TABLE, set },
      wanted.map(({ key }) => key),
    )
    .filter((element) => ours.has(text(element)));
};

const remove = (socket: NftSocket, plan: () => readonly NftOperation[]): void => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      socket.transaction(plan());
      return;
    } catch (error) {
      if (!isMissing(error) || attempt === REMOVAL_ATTEMPTS) throw error;
    }
  }
};

/** The elements of a set, of which a table that is missing has none. */
const listElements = (socket: NftSocket, set: string): readonly NftElement[] => {
  try {
    return socket.listElements({ ...NAT_TABLE, set });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
};

/** Every published port; none when there is no table. */
export const listPublishedPorts = (socket: NftSocket): readonly PublishedPort[] =>
  portMaps.flatMap((map) => listElements(socket, map).flatMap((element) => parsePortElement(map, element) ?? []));

/** What the table holds, for comparing it with what it should; undefined when there is none. Not one snapshot. */
export const listNatTable = (socket: NftSocket): NatTable | undefined => {
  if (!socket.listTables(NAT_TABLE.family).some(({ name }) => name === NAT_TABLE.table)) return undefined;
  const rules = Map.groupBy(socket.listRules(NAT_TABLE), ({ chain }) => chain);
  const complete = [...plannedRuleCounts()].every(([chain, count]) => rules.get(chain)?.length === count);
  const internal = new Set(listElements(socket, 'internal_bridges').map(bridgeOfElement));
  const networks = listElements(socket, 'subnets')
    .flatMap((element) => parseSubnetElement(element) ?? [])
    .map((network) => ({ ...network, internal: internal.has(network.bridge) }));
  return { complete, networks, ports: listPublishedPorts(socket) };
};
