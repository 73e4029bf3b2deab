import { expect, test } from '@jest/globals';

import { isNetlinkError, openNftSocket } from '@tsc/netlink';
import type { NetlinkError, NftExpression, NftOperation, NftTableName } from '@tsc/netlink';

import { describeRoot } from '../../../test/root.ts';
import { createTestNetns } from './netns.ts';

const table: NftTableName = { family: 'ip', table: 'tested' };
const addTable: NftOperation = { ...table, type: 'add-table' };

const failure = (action: () => void): NetlinkError => {
  try {
    action();
  } catch (error) {
    if (isNetlinkError(error)) return error;
    throw error;
  }
  throw new Error('expected an error');
};

const everyExpression: readonly NftExpression[] = [
  { name: 'meta', destination: 1, key: 'l4proto' },
  { name: 'cmp', source: 1, operator: 'eq', data: Buffer.of(6) },
  { name: 'payload', destination: 1, base: 'network', offset: 16, length: 4 },
  { name: 'bitwise', source: 1, destination: 1, length: 4, mask: Buffer.of(255, 255, 0, 0), xor: Buffer.alloc(4) },
  { name: 'cmp', source: 1, operator: 'neq', data: Buffer.of(10, 0, 0, 0) },
  { name: 'payload', destination: 1, base: 'transport', offset: 2, length: 2 },
  { name: 'lookup', set: 'allowed', source: 1, flags: 0 },
  { name: 'ct', destination: 1, key: 'state' },
  { name: 'fib', destination: 1, result: 'type', flags: 2 },
  { name: 'counter', bytes: 0n, packets: 0n },
  { name: 'immediate', destination: 0, data: { verdict: 'goto', chain: 'second' } },
];

describeRoot('nf_tables', () => {
  test('writes rules that nft reads, and reads them back as written', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    const nat: readonly NftExpression[] = [
      { name: 'immediate', destination: 1, data: Buffer.of(10, 0, 0, 1) },
      { name: 'immediate', destination: 9, data: Buffer.of(0, 80) },
      { name: 'nat', type: 'snat', family: 2, addressMin: 1, addressMax: 1, portMin: 9, portMax: 9, flags: 3 },
    ];
    socket.transaction([
      addTable,
      { ...table, type: 'add-set', set: 'allowed', key: ['inet_service'] },
      {
        ...table,
        type: 'add-elements',
        set: 'allowed',
        elements: [{ key: Buffer.of(0, 80) }, { key: Buffer.of(1, 187) }],
      },
      { ...table, type: 'add-set', set: 'fates', key: ['ipv4_addr'], data: 'verdict' },
      { ...table, type: 'add-chain', chain: 'second' },
      {
        ...table,
        type: 'add-elements',
        set: 'fates',
        elements: [
          { key: Buffer.of(10, 0, 0, 1), data: { verdict: 'drop' } },
          { key: Buffer.of(10, 0, 0, 2), data: { verdict: 'jump', chain: 'second' } },
        ],
      },
      {
        ...table,
        type: 'add-chain',
        chain: 'first',
        hook: { type: 'filter', hook: 'input', priority: -10, policy: 'drop' },
      },
      {
        ...table,
        type: 'add-chain',
        chain: 'source',
        hook: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
      },
      { ...table, type: 'add-rule', chain: 'first', expressions: everyExpression, comment: 'every one of them' },
      { ...table, type: 'add-rule', chain: 'source', expressions: [...everyExpression.slice(0, 2), ...nat] },
    ]);
    expect(socket.sendCount).toBe(1);

    const listing = netns.run('nft', 'list', 'table', 'ip', 'tested');
    expect(listing).toContain('elements = { 80, 443 }');
    expect(listing).toContain('type ipv4_addr : verdict');
    expect(listing).toContain('elements = { 10.0.0.1 : drop, 10.0.0.2 : jump second }');
    expect(listing).toContain('type filter hook input priority filter - 10; policy drop;');
    expect(listing).toContain('counter packets 0 bytes 0 goto second comment "every one of them"');
    expect(listing).toContain('meta l4proto tcp snat to 10.0.0.1:80');

    const rules = socket.listRules(table);
    expect(rules.map(({ chain, comment }) => [chain, comment])).toEqual([
      ['first', 'every one of them'],
      ['source', undefined],
    ]);
    expect(rules[0]?.expressions).toEqual(everyExpression);
    expect(rules[1]?.expressions.slice(2)).toEqual(nat);
    expect(socket.listTables('ip')).toEqual([{ name: 'tested' }]);
    expect(socket.listChains(table).map(({ name, hook }) => [name, hook?.hook, hook?.priority, hook?.policy])).toEqual([
      ['second', undefined, undefined, undefined],
      ['first', 'input', -10, 'drop'],
      ['source', 'postrouting', 100, 'accept'],
    ]);
    expect(socket.listSets(table).map(({ name, key, map }) => [name, key, map])).toEqual([
      ['allowed', ['inet_service'], false],
      ['fates', ['ipv4_addr'], true],
    ]);
    expect(socket.listElements({ ...table, set: 'fates' })).toEqual(
      expect.arrayContaining([
        { key: Buffer.of(10, 0, 0, 1), data: { verdict: 'drop' } },
        { key: Buffer.of(10, 0, 0, 2), data: { verdict: 'jump', chain: 'second' } },
      ]),
    );
    socket.transaction([
      { ...table, type: 'delete-rule', chain: 'first', handle: rules[0]?.handle ?? 0n },
      { ...table, type: 'flush-chain', chain: 'source' },
      { ...table, type: 'delete-elements', set: 'fates', elements: [{ key: Buffer.of(10, 0, 0, 2) }] },
      { ...table, type: 'delete-set', set: 'allowed' },
      { ...table, type: 'delete-chain', chain: 'second' },
    ]);
    expect(socket.listRules(table)).toEqual([]);
    expect(socket.listChains(table).map(({ name }) => name)).toEqual(['first', 'source']);
  });

  test('performs all of a transaction or nothing, and names what failed', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    const error = failure(() => {
      socket.transaction([
        addTable,
        { ...table, type: 'add-chain', chain: 'one' },
        { ...table, type: 'add-rule', chain: 'nowhere', expressions: [] },
        { ...table, type: 'delete-set', set: 'nothing' },
      ]);
    });
    expect(error).toMatchObject({
      code: 'NETLINK_NOT_FOUND',
      errno: 'ENOENT',
      index: 2,
      request: 'add rule ip tested nowhere',
    });
    expect(netns.run('nft', 'list', 'ruleset')).toBe('');
    expect(
      failure(() => {
        socket.listElements({ ...table, set: 'nothing' });
      }).errno,
    ).toBe('ENOENT');
    expect(
      failure(() => {
        socket.listSets(table);
      }).errno,
    ).toBe('ENOENT');
    expect(socket.listRules(table)).toEqual([]);
    expect(socket.findElements({ ...table, set: 'nothing' }, [Buffer.of(0, 1)])).toEqual([]);
  });

  test('refuses an exclusive element that is there, and no other', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    const add = (exclusive: boolean, ...ports: readonly number[]): NftOperation => ({
      ...table,
      type: 'add-elements',
      set: 'ports',
      elements: ports.map((port) => ({ key: Buffer.of(port >> 8, port & 255) })),
      exclusive,
    });
    socket.transaction([addTable, { ...table, type: 'add-set', set: 'ports', key: ['inet_service'] }, add(true, 80)]);
    socket.transaction([add(false, 80, 81)]);
    expect(
      failure(() => {
        socket.transaction([add(true, 82), add(true, 81)]);
      }),
    ).toMatchObject({
      code: 'NETLINK_EXISTS',
      index: 1,
    });
    expect(socket.listElements({ ...table, set: 'ports' })).toHaveLength(2);
  });

  test('sends and lists more than the default buffers hold', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    const keys = Array.from({ length: 20_000 }, (_, n) => Buffer.of(10, 0, n >> 8, n & 255));
    const adds = keys.map((key): NftOperation => ({
      ...table,
      type: 'add-elements',
      set: 'many',
      elements: [{ key }],
      exclusive: true,
    }));
    socket.transaction([addTable, { ...table, type: 'add-set', set: 'many', key: ['ipv4_addr'] }, ...adds]);
    expect(socket.sendCount).toBe(1);
    const hex = (elements: readonly { readonly key: Uint8Array }[]): ReadonlySet<string> =>
      new Set(elements.map(({ key }) => Buffer.from(key).toString('hex')));
    expect(hex(socket.listElements({ ...table, set: 'many' }))).toEqual(hex(keys.map((key) => ({ key }))));
    expect(socket.findElements({ ...table, set: 'many' }, keys.slice(0, 1000))).toHaveLength(1000);
    const [first, ...others] = keys;
    socket.transaction([{ ...table, type: 'delete-elements', set: 'many', elements: others.map((key) => ({ key })) }]);
    expect(socket.listElements({ ...table, set: 'many' })).toEqual([{ key: first }]);
    socket.transaction([
      { ...table, type: 'add-elements', set: 'many', elements: keys.map((key) => ({ key })) },
      { ...table, type: 'delete-elements', set: 'many', elements: [] },
    ]);
    // Twenty thousand refusals: far more than can be queued, and still the first is known.
    expect(
      failure(() => {
        socket.transaction(adds);
      }),
    ).toMatchObject({ code: 'NETLINK_EXISTS', index: 0 });
    expect(socket.listElements({ ...table, set: 'many' })).toHaveLength(20_000);
    expect(socket.listTables('ip')).toEqual([{ name: 'tested' }]);
  });
});
