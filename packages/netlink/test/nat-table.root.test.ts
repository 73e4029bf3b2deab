import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

import { expect, test } from '@jest/globals';

import {
  addBridgeRules,
  deleteNatTable,
  ensureNatTable,
  isNetlinkError,
  listNatTable,
  listPublishedPorts,
  openNftSocket,
  publishPorts,
  removeBridgeRules,
  unpublishPorts,
} from '@tsc/netlink';
import type { NetlinkError, PublishedPort } from '@tsc/netlink';

import { describeRoot } from '../../../test/root.ts';
import { createTestNetns } from './netns.ts';

const web: PublishedPort = {
  protocol: 'tcp',
  hostAddress: '0.0.0.0',
  hostPort: 8080,
  containerAddress: '172.17.0.2',
  containerPort: 80,
};
const dns: PublishedPort = { ...web, protocol: 'udp', hostAddress: '192.0.2.1', hostPort: 53, containerPort: 5353 };
const net0 = { bridge: 'tsc0', subnet: '172.17.0.0/16', internal: false };
const net1 = { bridge: 'tsc1', subnet: '172.18.0.0/24', internal: true };

const failure = (action: () => void): NetlinkError => {
  try {
    action();
  } catch (error) {
    if (isNetlinkError(error)) return error;
    throw error;
  }
  throw new Error('expected an error');
};

describeRoot('the NAT table', () => {
  test('is what nft reads as the fixture says', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    ensureNatTable(socket);
    addBridgeRules(socket, net0);
    addBridgeRules(socket, net1);
    publishPorts(socket, [web, dns]);
    const listing = netns.run('nft', 'list', 'ruleset');
    expect(listing).toBe(readFileSync(new URL('fixtures/nat-table.nft', import.meta.url), 'utf8'));

    // nft's own reading of its own words must be the same again.
    using copy = await createTestNetns();
    copy.run('nft', '-f', new URL('fixtures/nat-table.nft', import.meta.url).pathname);
    expect(copy.run('nft', 'list', 'ruleset')).toBe(listing);
    using copySocket = openNftSocket({ netnsFd: copy.fd });
    expect(listNatTable(copySocket)).toEqual(listNatTable(socket));
  });

  test('is made again without a change, by several at once, and repaired', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    using other = openNftSocket({ netnsFd: netns.fd });
    expect(listNatTable(socket)).toBeUndefined();
    ensureNatTable(socket);
    addBridgeRules(socket, net0);
    publishPorts(socket, [web]);
    const listing = netns.run('nft', 'list', 'ruleset');
    ensureNatTable(other);
    ensureNatTable(socket);
    addBridgeRules(other, net0);
    expect(netns.run('nft', 'list', 'ruleset')).toBe(listing);
    expect(listNatTable(socket)).toEqual({ complete: true, networks: [net0], ports: [web] });

    netns.run('nft', 'flush', 'chain', 'ip', 'tsc', 'forward');
    expect(listNatTable(socket)?.complete).toBe(false);
    ensureNatTable(socket);
    expect(netns.run('nft', 'list', 'ruleset')).toBe(listing);

    netns.run('nft', 'flush', 'ruleset');
    expect(listNatTable(socket)).toBeUndefined();
    expect(
      failure(() => {
        publishPorts(socket, [web]);
      }).code,
    ).toBe('NETLINK_NOT_FOUND');
    expect(
      failure(() => {
        addBridgeRules(socket, net0);
      }).code,
    ).toBe('NETLINK_NOT_FOUND');
    unpublishPorts(socket, [web]);
    removeBridgeRules(socket, net0);
    expect(listPublishedPorts(socket)).toEqual([]);
  });

  test('is the same after processes raced to make it', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    ensureNatTable(socket);
    const once = netns.run('nft', 'list', 'ruleset');
    deleteNatTable(socket);
    // nft in a loop stands for other processes, which delete what ours makes meanwhile.
    using rival = await netns.startNode(
      `const { spawnSync } = require('node:child_process');
       console.log('ready');
       for (let i = 0; i < 25; i++) spawnSync('nft', ['delete', 'table', 'ip', 'tsc'], { stdio: 'ignore' });`,
    );
    let rounds = 0;
    for (let running = true; running; rounds += 1) {
      ensureNatTable(socket);
      running = await Promise.race([rival.exited.then(() => false), setImmediate(true)]);
    }
    ensureNatTable(socket);
    expect(rounds).toBeGreaterThan(1);
    expect(netns.run('nft', 'list', 'ruleset')).toBe(once);
  });

  test('publishes all ports or none, and names the one that is taken', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    ensureNatTable(socket);
    publishPorts(socket, [web, dns]);
    const sctp: PublishedPort = { ...web, protocol: 'sctp' };
    const elsewhere: PublishedPort = { ...dns, containerAddress: '172.17.0.9' };
    for (const taken of [web, dns, elsewhere, { ...web, containerPort: 81 }]) {
      expect(
        failure(() => {
          publishPorts(socket, [sctp, taken]);
        }),
      ).toMatchObject({
        code: 'NETLINK_PORT_TAKEN',
        index: 1,
        message: `cannot publish ${taken.protocol} ${taken.hostAddress}:${String(taken.hostPort)}: already published`,
      });
    }
    expect(
      failure(() => {
        publishPorts(socket, [sctp, { ...sctp, hostAddress: '192.0.2.1' }]);
      }),
    ).toMatchObject({
      code: 'NETLINK_PORT_TAKEN',
      message: 'cannot publish sctp 192.0.2.1:8080: asked for twice',
    });
    expect(listPublishedPorts(socket)).toEqual([dns, web]);

    unpublishPorts(socket, [sctp, elsewhere]); // not there, and somebody else's
    expect(listPublishedPorts(socket)).toEqual([dns, web]);
    unpublishPorts(socket, [sctp, dns, web]);
    expect(listPublishedPorts(socket)).toEqual([]);
    publishPorts(socket, []);
    unpublishPorts(socket, []);
  });

  test('publishes and withdraws a range of five thousand ports at once', async () => {
    using netns = await createTestNetns();
    using socket = openNftSocket({ netnsFd: netns.fd });
    ensureNatTable(socket);
    const range = Array.from({ length: 5000 }, (_, n) => ({ ...web, hostPort: 10_000 + n, containerPort: 10_000 + n }));
    publishPorts(socket, range);
    expect(listPublishedPorts(socket)).toHaveLength(5000);
    unpublishPorts(socket, range.slice(0, 4999));
    expect(listPublishedPorts(socket)).toEqual(range.slice(4999));
  });

  test('takes networks out without touching others', async () => {
    using netns = await createTestNetns();
    netns.run('nft', 'add', 'table', 'ip', 'theirs');
    using socket = openNftSocket({ netnsFd: netns.fd });
    ensureNatTable(socket);
    const empty = netns.run('nft', 'list', 'ruleset');
    addBridgeRules(socket, net0);
    addBridgeRules(socket, net1);
    removeBridgeRules(socket, net0);
    expect(listNatTable(socket)?.networks).toEqual([net1]);
    removeBridgeRules(socket, net0);
    removeBridgeRules(socket, net1);
    expect(netns.run('nft', 'list', 'ruleset')).toBe(empty);
    deleteNatTable(socket);
    deleteNatTable(socket);
    expect(netns.run('nft', 'list', 'ruleset')).toBe('table ip theirs {\n}\n');
  });
});
