import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import {
  NAT_TABLE,
  addBridgeRules,
  connectVeth,
  createBridge,
  deleteNatTable,
  ensureNatTable,
  findPortConflict,
  formatIpv4,
  hosts,
  isNetlinkError,
  listNatTable,
  listPublishedPorts,
  macFromIpv4,
  networkAddress,
  openNftSocket,
  openRouteSocket,
  overlaps,
  parseCidr,
  publishPorts,
  removeBridgeRules,
  removeLink,
  unpublishPorts,
} from '@tsc/netlink';
import type { NftSocket, PublishedPort, RouteSocket } from '@tsc/netlink';
import { CLONE_NEWNET, unshare } from '@tsc/sys';

import type { NetworkRecord } from './container-record.ts';
import type { PortSpec } from './container-spec.ts';
import { EngineError } from './errors.ts';
import { kernelName, networkDir } from './layout.ts';
import type { Layout } from './layout.ts';
import { lock, tryLock } from './lock.ts';
import type { FileLock } from './lock.ts';
import { isHeldByStranger } from './port-holder.ts';
import { reservePorts, settlePort } from './port-reservation.ts';
import { readRecord } from './record-file.ts';

/** The rules of all engines are in one table of the kernel, so all engines share this lock. */
const KERNEL_LOCK = '/run/tsc-network.lock';
const CANDIDATE_SUBNETS: readonly string[] = Array.from(
  { length: 15 },
  (_, index) => `172.${String(17 + index)}.0.0/16`,
);
const DEFAULT_MTU = 1500;

/** A container's network, ready before its process is: a namespace with an address, and what it costs to give it back. */
export interface NetworkAttachment {
  readonly record: NetworkRecord;
  /** The namespace; it lives by this descriptor until a process is in it. */
  readonly netnsFd: number;
  /** Sockets that keep the published ports from others on the host; the monitor holds them for the container's life. */
  readonly reservationFds: readonly number[];
  /** Closes our descriptors, once tsc-init has its own. */
  close(): void;
}

interface Lease {
  readonly address: string;
  readonly id: string;
}

interface BridgeState {
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly mtu: number;
  readonly index: number;
}

/**
 * The default bridge network. The bridge and its rules exist while a container has an address there, or while an engine
 * that used them is open: the last one out takes them away.
 */
export class BridgeNetworking {
  readonly #layout: Layout;
  readonly #name: string;
  #route: RouteSocket | undefined;
  #nft: NftSocket | undefined;
  #hold: Promise<FileLock> | undefined;
  /** The bridge's rules have been found, or made, by this engine. */
  #checked = false;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#name = `${kernelName(layout)}0`;
  }

  get #leasesDir(): string {
    return join(networkDir(this.#layout), 'leases');
  }

  get #holdFile(): string {
    return join(networkDir(this.#layout), 'in-use');
  }

  #sockets(): { readonly route: RouteSocket; readonly nft: NftSocket } {
    this.#route ??= openRouteSocket();
    this.#nft ??= openNftSocket();
    return { route: this.#route, nft: this.#nft };
  }

  /** Gives a container an address on the bridge and publishes its ports. On failure nothing is left of either. */
  async connect(id: string, ports: readonly PortSpec[], signal?: AbortSignal): Promise<NetworkAttachment> {
    await this.#holdNetwork(signal);
    const [netnsFd] = await unshare(CLONE_NEWNET);
    if (netnsFd === undefined) throw new TypeError('unshare made no network namespace');
    try {
      using _kernel = await lock(KERNEL_LOCK, { signal });
      return this.#connect(id, ports, netnsFd);
    } catch (error) {
      closeSync(netnsFd);
      throw error;
    }
  }

  async #holdNetwork(signal?: AbortSignal): Promise<void> {
    this.#hold ??= lock(this.#holdFile, { mode: 'shared', signal });
    try {
      await this.#hold;
    } catch (error) {
      this.#hold = undefined;
      throw error;
    }
  }

  /** The part under the kernel's lock, undone under it, too. */
  #connect(id: string, ports: readonly PortSpec[], netnsFd: number): NetworkAttachment {
    using undo = new DisposableStack();
    for (const stale of this.#leasesOf(id)) this.#takeBack(stale);
    const bridge = this.#ensureBridge();
    const reservation = reservePorts(ports, (wanted) => this.#conflicts(wanted));
    undo.defer(() => {
      reservation.fds.forEach((fd) => {
        closeSync(fd);
      });
    });
    const address = this.#freeAddress(bridge);
    const { prefixLength } = parseCidr(bridge.subnet);
    const record: NetworkRecord = {
      bridge: bridge.name,
      address,
      prefixLength,
      gateway: bridge.gateway,
      mac: macFromIpv4(address),
      hostInterface: `veth${randomBytes(4).toString('hex')}`,
      ports: reservation.ports,
    };
    // Before anything that it names is made: whatever a kill leaves can be taken back by it.
    undo.defer(() => {
      this.#takeBack({ address, id });
    });
    this.#writeLease(id, record);
    this.#publish(record);
    connectVeth({
      host: this.#sockets().route,
      netnsFd,
      bridgeIndex: bridge.index,
      hostName: record.hostInterface,
      containerName: 'eth0',
      mac: record.mac,
      mtu: bridge.mtu,
      address: `${address}/${String(prefixLength)}`,
      gateway: bridge.gateway,
    });
    undo.move();
    return {
      record,
      netnsFd,
      reservationFds: reservation.fds,
      close: () => {
        [netnsFd, ...reservation.fds].forEach((fd) => {
          closeSync(fd);
        });
      },
    };
  }

  /**
   * Whether ports that are in use are published for nobody, and no other program has them: then a monitor whose container
   * is gone is about to let go of them, or just has.
   */
  isBeingFreed(ports: readonly PortSpec[]): boolean {
    const wanted = ports.flatMap((port) => (port.hostPort === undefined ? [] : [settlePort(port, port.hostPort)]));
    return !wanted.some((port) => this.#conflicts(port)) && !wanted.some(isHeldByStranger);
  }

  /** Takes back what a container has of the network: ports and address. Its links go with its namespace. */
  async disconnect(id: string): Promise<void> {
    if (this.#leasesOf(id).length === 0) return;
    using _kernel = await lock(KERNEL_LOCK);
    for (const lease of this.#leasesOf(id)) this.#takeBack(lease);
  }

  /** Lets go of the network, and takes bridge and rules away if nobody else needs them. */
  async close(): Promise<void> {
    try {
      if (existsSync(networkDir(this.#layout))) await this.#removeUnused();
    } finally {
      this.#route?.close();
      this.#nft?.close();
      this.#route = undefined;
      this.#nft = undefined;
    }
  }

  async #removeUnused(): Promise<void> {
    const held = await this.#hold;
    this.#hold = undefined;
    held?.[Symbol.dispose]();
    if (this.#leases().length > 0 || !existsSync(this.#stateFile)) return;
    using _kernel = await lock(KERNEL_LOCK);
    using alone = tryLock(this.#holdFile);
    if (alone === undefined || this.#leases().length > 0) return;
    const { route, nft } = this.#sockets();
    removeBridgeRules(nft, { bridge: this.#name });
    removeLink({ host: route, name: this.#name });
    if ((listNatTable(nft)?.networks ?? []).length === 0) deleteNatTable(nft);
    rmSync(this.#stateFile, { force: true });
  }

  get #stateFile(): string {
    return join(networkDir(this.#layout), 'bridge.json');
  }

  /** Finds the bridge, or makes it; its rules are made sure of each time, since anybody may flush them. */
  #ensureBridge(): BridgeState {
    const { route, nft } = this.#sockets();
    const known = this.#knownBridge(route);
    if (known === undefined) this.#checked = false;
    const state = known ?? this.#makeBridge(route);
    // In full once; from then on it is enough that nobody has flushed the table.
    if (this.#checked && nft.listTables('ip').some(({ name }) => name === NAT_TABLE.table)) return state;
    const table = listNatTable(nft);
    if (table?.complete !== true) ensureNatTable(nft);
    if (table?.networks.some(({ bridge }) => bridge === state.name) !== true) {
      addBridgeRules(nft, { bridge: state.name, subnet: state.subnet });
    }
    this.#checked = true;
    return state;
  }

  #knownBridge(route: RouteSocket): BridgeState | undefined {
    const link = route.getLink(this.#name);
    if (link === undefined || !existsSync(this.#stateFile)) return undefined;
    const saved = JSON.parse(readFileSync(this.#stateFile, 'utf8')) as BridgeState;
    return { ...saved, index: link.index };
  }

  #makeBridge(route: RouteSocket): BridgeState {
    removeLink({ host: route, name: this.#name });
    const subnet = freeSubnet(route);
    const gateway = formatIpv4(networkAddress(parseCidr(subnet)) + 1);
    const mtu = uplinkMtu(route);
    const { index } = createBridge({ host: route, name: this.#name, address: `${gateway}/16`, mtu });
    setSysctl(`ipv4/conf/${this.#name}/route_localnet`, '1'); // for ports on 127.0.0.1; the table guards it
    setSysctl(`ipv6/conf/${this.#name}/accept_ra`, '0'); // a container must not be the host's router (CVE-2020-13401)
    setSysctl(`ipv6/conf/${this.#name}/disable_ipv6`, '1');
    setSysctl('ipv4/ip_forward', '1');
    const state = { name: this.#name, subnet, gateway, mtu, index };
    writeFileSync(this.#stateFile, `${JSON.stringify(state)}\n`, { mode: 0o600 });
    return state;
  }

  /** Who has an address; a file per lease says so by its name, and by its content what else they have. */
  #leases(): readonly Lease[] {
    if (!existsSync(this.#leasesDir)) return [];
    return readdirSync(this.#leasesDir).flatMap((name) => {
      const [address = '', id] = name.split('_');
      return id === undefined ? [] : [{ address, id }];
    });
  }

  #leasesOf(id: string): readonly Lease[] {
    return this.#leases().filter((lease) => lease.id === id);
  }

  #leaseFile({ address, id }: Lease): string {
    return join(this.#leasesDir, `${address}_${id}`);
  }

  #freeAddress(bridge: BridgeState): string {
    const taken = new Set(this.#leases().map(({ address }) => address));
    for (const host of hosts(parseCidr(bridge.subnet))) {
      const address = formatIpv4(host);
      if (address !== bridge.gateway && !taken.has(address)) return address;
    }
    throw new EngineError('ENGINE_NO_ADDRESS_LEFT', `no free address is left in ${bridge.subnet}`);
  }

  #writeLease(id: string, record: NetworkRecord): void {
    mkdirSync(this.#leasesDir, { recursive: true, mode: 0o700 });
    const draft = join(networkDir(this.#layout), 'lease');
    writeFileSync(draft, JSON.stringify(record), { mode: 0o600 });
    renameSync(draft, this.#leaseFile({ address: record.address, id }));
  }

  #takeBack(lease: Lease): void {
    const record = readRecord<NetworkRecord>(this.#leaseFile(lease));
    if (record !== undefined) this.#unpublish(record);
    rmSync(this.#leaseFile(lease), { force: true });
  }

  /** The ids of the containers that have something of the network, or that were killed while they got it. */
  holders(): ReadonlySet<string> {
    return new Set(this.#leases().map(({ id }) => id));
  }

  #conflicts(wanted: Omit<PublishedPort, 'containerAddress'>): boolean {
    const port = { ...wanted, containerAddress: '0.0.0.0' };
    return findPortConflict([port], listPublishedPorts(this.#sockets().nft)) !== undefined;
  }

  #publish(record: NetworkRecord): void {
    if (record.ports.length === 0) return;
    try {
      publishPorts(this.#sockets().nft, publishedPorts(record));
    } catch (cause) {
      if (!isNetlinkError(cause) || cause.code !== 'NETLINK_PORT_TAKEN') throw cause;
      throw new EngineError('ENGINE_PORT_IN_USE', `port is already allocated: ${cause.message}`, { cause });
    }
  }

  #unpublish(record: NetworkRecord): void {
    if (record.ports.length > 0) unpublishPorts(this.#sockets().nft, publishedPorts(record));
  }
}

const publishedPorts = (record: NetworkRecord): readonly PublishedPort[] =>
  record.ports.map((port) => ({ ...port, containerAddress: record.address }));

function setSysctl(name: string, value: string): void {
  const path = `/proc/sys/net/${name}`;
  if (existsSync(path)) writeFileSync(path, value);
}

/** The first of our ranges that no route and no address of the host touches. */
function freeSubnet(route: RouteSocket): string {
  const used = [
    ...route.listAddresses().map(({ address }) => address),
    ...route.listRoutes().flatMap(({ destination }) => (destination === 'default' ? [] : [destination])),
  ]
    .filter((cidr) => cidr.includes('.'))
    .map(parseCidr);
  const free = CANDIDATE_SUBNETS.find((candidate) => !used.some((other) => overlaps(parseCidr(candidate), other)));
  if (free === undefined) {
    throw new EngineError(
      'ENGINE_NO_ADDRESS_LEFT',
      'every range from 172.17.0.0/16 to 172.31.0.0/16 is in use on this host',
    );
  }
  return free;
}

/** Packets that don't fit the way out are lost where ICMP is filtered, so the bridge is as narrow as the way out. */
function uplinkMtu(route: RouteSocket): number {
  const uplink = route.listRoutes().find(({ destination }) => destination === 'default');
  const link = route.listLinks().find(({ index }) => index === uplink?.index);
  return link?.mtu ?? DEFAULT_MTU;
}
