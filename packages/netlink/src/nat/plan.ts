import type { NftExpression } from '../nft/expression.ts';
import {
  ctHasAny,
  destinationIsLocal,
  destinationStartsWith,
  inSet,
  jump,
  sourceStartsWith,
  verdict,
} from '../nft/match.ts';
import type { NftElement, NftHook, NftOperation, NftTableName } from '../nft/operation.ts';
import { bridgeElement, sameBridgeElement, subnetElement } from './network.ts';
import type { BridgeNetwork } from './network.ts';
import { formatHostPort, portElement, portMap } from './port.ts';
import type { PublishedPort } from './port.ts';

/** Everything is in this one table; nothing outside of it is read or changed. */
export const NAT_TABLE: NftTableName = { family: 'ip', table: 'tsc' };

/** Bits of a connection's state and status (`NF_CT_STATE_BIT`, `IPS_DST_NAT`). */
const ESTABLISHED_OR_RELATED = 0x2 | 0x4;
const DNATED = 0x20;
const LOOPBACK_NET = Buffer.of(127);
const IPV4 = 2;

const iifname: readonly NftExpression[] = [{ name: 'meta', destination: 1, key: 'iifname' }];
const oifname: readonly NftExpression[] = [{ name: 'meta', destination: 1, key: 'oifname' }];
/** Names take sixteen bytes: the first fills register 1, what is joined to it starts at register 2. */
const iifnameOifname: readonly NftExpression[] = [...iifname, { name: 'meta', destination: 2, key: 'oifname' }];
const saddrAfterName: NftExpression = { name: 'payload', destination: 2, base: 'network', offset: 12, length: 4 };
const iifnameSaddr: readonly NftExpression[] = [...iifname, saddrAfterName];
const oifnameSaddr: readonly NftExpression[] = [...oifname, saddrAfterName];
const service = (first: number, second: number): readonly NftExpression[] => [
  { name: 'meta', destination: first, key: 'l4proto' },
  { name: 'payload', destination: second, base: 'transport', offset: 2, length: 2 },
];

/** `dnat ip to … map @set`: the datum's address lands in register 1, its port in the next four bytes, register 9. */
const dnatThrough = (set: string, loads: readonly NftExpression[]): readonly NftExpression[] => [
  ...loads,
  { name: 'lookup', set, source: 1, destination: 1 },
  { name: 'nat', type: 'dnat', family: IPV4, addressMin: 1, portMin: 9 },
];

const masquerade: readonly NftExpression[] = [{ name: 'masq' }];

interface PlannedRule {
  readonly comment: string;
  readonly expressions: readonly NftExpression[];
}

interface PlannedChain {
  readonly hook?: NftHook;
  readonly rules: readonly PlannedRule[];
}

const publishing: PlannedChain['rules'] = [
  { comment: 'published ports of this host', expressions: [...destinationIsLocal(), ...jump('publish')] },
];

/** Six chains of fixed rules. Networks and ports are elements of sets, so that to add one costs no rule. */
const chains: Readonly<Record<string, PlannedChain>> = {
  publish: {
    rules: [
      {
        comment: 'ports of one address',
        expressions: dnatThrough('ports', [
          { name: 'payload', destination: 1, base: 'network', offset: 16, length: 4 },
          ...service(9, 10),
        ]),
      },
      { comment: 'ports of every address', expressions: dnatThrough('ports_any', service(1, 9)) },
    ],
  },
  guard: {
    hook: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
    rules: [
      {
        comment: 'loopback is not for neighbours, whatever route_localnet says',
        expressions: [
          ...iifname,
          { name: 'cmp', source: 1, operator: 'neq', data: Buffer.from('lo\0'.padEnd(16, '\0')) },
          ...destinationStartsWith(LOOPBACK_NET),
          ...verdict('drop'),
        ],
      },
    ],
  },
  prerouting: { hook: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' }, rules: publishing },
  output: { hook: { type: 'nat', hook: 'output', priority: -100, policy: 'accept' }, rules: publishing },
  postrouting: {
    hook: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
    rules: [
      {
        comment: 'containers to the outside',
        expressions: [...inSet(iifnameSaddr, 'subnets'), ...inSet(iifnameOifname, 'same_bridge', true), ...masquerade],
      },
      {
        comment: 'containers to a published port of their own network',
        expressions: [
          // By the bridge they leave by: where br_netfilter has hooked in, the one they came by is not known here.
          ...inSet(oifnameSaddr, 'subnets'),
          ...ctHasAny('status', DNATED),
          ...masquerade,
        ],
      },
      {
        comment: 'this host to a port published on loopback',
        expressions: [
          ...inSet(oifname, 'bridges'),
          ...sourceStartsWith(LOOPBACK_NET),
          ...ctHasAny('status', DNATED),
          ...masquerade,
        ],
      },
    ],
  },
  forward: {
    hook: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
    rules: [
      {
        comment: 'internal networks lead nowhere',
        expressions: [
          ...inSet(iifname, 'internal_bridges'),
          ...inSet(iifnameOifname, 'same_bridge', true),
          ...verdict('drop'),
        ],
      },
      { comment: 'not to a bridge of ours', expressions: [...inSet(oifname, 'bridges', true), ...verdict('accept')] },
      { comment: 'within one network', expressions: [...inSet(iifnameOifname, 'same_bridge'), ...verdict('accept')] },
      { comment: 'answers', expressions: [...ctHasAny('state', ESTABLISHED_OR_RELATED), ...verdict('accept')] },
      { comment: 'published ports', expressions: [...ctHasAny('status', DNATED), ...verdict('accept')] },
      { comment: 'nothing else reaches a container', expressions: verdict('drop') },
    ],
  },
};

const sets = [
  { set: 'bridges', key: ['ifname'] },
  { set: 'internal_bridges', key: ['ifname'] },
  { set: 'same_bridge', key: ['ifname', 'ifname'] },
  { set: 'subnets', key: ['ifname', 'ipv4_addr'], interval: true },
  { set: 'ports', key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] },
  { set: 'ports_any', key: ['inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] },
] as const;

/** How many rules each chain has when nobody has touched it. */
export const plannedRuleCounts = (): ReadonlyMap<string, number> =>
  new Map(Object.entries(chains).map(([chain, { rules }]) => [chain, rules.length]));

/**
 * The table, its sets, chains and rules. Done again it changes nothing that shows: rules are flushed and written anew
 * within the one transaction, and the elements of sets stay.
 */
export const planNatTable = (): readonly NftOperation[] => {
  const entries = Object.entries(chains);
  return [
    { ...NAT_TABLE, type: 'add-table' },
    ...sets.map((set) => ({ ...NAT_TABLE, type: 'add-set' as const, ...set })),
    ...entries.map(([chain, { hook }]) => ({ ...NAT_TABLE, type: 'add-chain' as const, chain, hook })),
    ...entries.flatMap(([chain, { rules }]) => [
      { ...NAT_TABLE, type: 'flush-chain' as const, chain },
      ...rules.map((rule) => ({ ...NAT_TABLE, type: 'add-rule' as const, chain, ...rule })),
    ]),
  ];
};

export const planNatTableRemoval = (): readonly NftOperation[] => [{ ...NAT_TABLE, type: 'delete-table' }];

const addElement = (set: string, element: NftElement): NftOperation => ({
  ...NAT_TABLE,
  type: 'add-elements',
  set,
  elements: [element],
});

/** What makes a bridge ours. Done again it changes nothing. */
export const planBridgeRules = (network: BridgeNetwork): readonly NftOperation[] => [
  addElement('bridges', bridgeElement(network.bridge)),
  addElement('same_bridge', sameBridgeElement(network.bridge)),
  addElement('subnets', subnetElement(network)),
  ...(network.internal === true ? [addElement('internal_bridges', bridgeElement(network.bridge))] : []),
];

/** One operation per port, in the order given, so that the one that fails can be told. */
export const planPortPublication = (ports: readonly PublishedPort[]): readonly NftOperation[] =>
  ports.map((port) => ({
    ...NAT_TABLE,
    type: 'add-elements',
    set: portMap(port),
    elements: [portElement(port)],
    exclusive: true,
    description: `publish ${formatHostPort(port)}`,
  }));

/** Removes elements of one set; the transaction fails when one of them is missing. */
export const planElementRemoval = (set: string, elements: readonly NftElement[]): readonly NftOperation[] =>
  elements.length === 0
    ? []
    : [{ ...NAT_TABLE, type: 'delete-elements', set, elements: elements.map(({ key, keyEnd }) => ({ key, keyEnd })) }];
