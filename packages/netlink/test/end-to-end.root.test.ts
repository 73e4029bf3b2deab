import { expect, test } from '@jest/globals';

import {
  addBridgeRules,
  connectVeth,
  createBridge,
  deleteNatTable,
  ensureNatTable,
  listNatTable,
  macFromIpv4,
  openNftSocket,
  openRouteSocket,
  publishPorts,
  removeBridgeRules,
  removeLink,
  unpublishPorts,
} from '@tsc/netlink';
import type { PublishedPort, RouteSocket } from '@tsc/netlink';

import { describeRoot } from '../../../test/root.ts';
import { createTestNetns } from './netns.ts';
import type { TestNetns } from './netns.ts';

/** Answers every connection and datagram with its label and the peer's address. */
const serverSource = `
  const [label, port] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (_, peer) => socket.send(label + ' ' + peer.address, peer.port, peer.address));
  const server = require('node:net').createServer((peer) => {
    peer.on('error', () => {});
    peer.end(label + ' ' + peer.remoteAddress);
  });
  socket.bind(+port, '0.0.0.0', () => server.listen(+port, '0.0.0.0', () => console.log('ready')));`;

/** Prints what the server says, or how the attempt ended. */
const clientSource = `
  const [protocol, host, port] = process.argv.slice(1);
  const done = (text) => { console.log(text); process.exit(); };
  setTimeout(done, 1000, 'no answer');
  if (protocol === 'tcp') {
    const peer = require('node:net').connect({ host, port: +port });
    peer.on('data', (data) => done(String(data))).on('error', ({ code }) => done(code));
  } else {
    const peer = require('node:dgram').createSocket('udp4').on('message', (data) => done(String(data)));
    peer.on('error', ({ code }) => done(code)).send('?', +port, host);
  }`;

const fetchLine = async (from: TestNetns, target: string, protocol = 'tcp'): Promise<string> => {
  const [host = '', port = ''] = target.split(':');
  using client = await from.startNode(clientSource, protocol, host, port);
  return client.firstLine;
};

const connectContainer = (
  host: RouteSocket,
  container: TestNetns,
  options: { readonly bridgeIndex: number; readonly address: string; readonly gateway: string },
): void => {
  connectVeth({
    host,
    netnsFd: container.fd,
    bridgeIndex: options.bridgeIndex,
    hostName: `v${options.address.replaceAll('.', '')}`,
    containerName: 'eth0',
    mac: macFromIpv4(options.address),
    mtu: 1500,
    address: `${options.address}/24`,
    gateway: options.gateway,
  });
};

/** A plain wire between two namespaces, made with ip so that not everything rests on what is tested. */
const wire = (host: TestNetns, other: TestNetns, name: string, net: string): void => {
  const peer = `/proc/${String(process.pid)}/fd/${String(other.fd)}`;
  host.run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer);
  host.run('ip', 'addr', 'add', `${net}.1/24`, 'dev', name);
  host.run('ip', 'link', 'set', name, 'up');
  other.run('ip', 'addr', 'add', `${net}.2/24`, 'dev', 'eth0');
  other.run('ip', 'link', 'set', 'eth0', 'up');
  other.run('ip', 'route', 'add', 'default', 'via', `${net}.1`);
};

const port = (hostAddress: string, hostPort: number, protocol: 'tcp' | 'udp' = 'tcp'): PublishedPort => ({
  protocol,
  hostAddress,
  hostPort,
  containerAddress: '172.17.0.2',
  containerPort: 80,
});

describeRoot('a host, its containers and its neighbours', () => {
  // br_netfilter shows bridged packets to our chains too. Docker and Kubernetes load it; the rules must do either way.
  test.each(['0', '1'])(
    'reach each other where a port is published, nowhere else (br_netfilter: %s)',
    async (filter) => {
      using host = await createTestNetns();
      using lan = await createTestNetns();
      using server = await createTestNetns();
      using a = await createTestNetns();
      using b = await createTestNetns();
      using c = await createTestNetns();
      using inner = await createTestNetns();
      using route = openRouteSocket({ netnsFd: host.fd });
      using nft = openNftSocket({ netnsFd: host.fd });

      // The host: a neighbour on one wire, a third party's server on another, two networks and an internal one.
      host.run('ip', 'link', 'set', 'lo', 'up');
      host.run('sh', '-c', 'echo "$0" > /proc/sys/net/bridge/bridge-nf-call-iptables', filter);
      wire(host, lan, 'lan0', '10.9.0');
      wire(host, server, 'wan0', '10.10.0');
      const networks = [
        { bridge: 'tsc0', subnet: '172.17.0.0/24' },
        { bridge: 'tsc1', subnet: '172.18.0.0/24' },
        { bridge: 'tsc2', subnet: '172.19.0.0/24', internal: true },
      ];
      const indexes = networks.map(({ bridge, subnet }) => {
        const address = subnet.replace('.0/', '.1/');
        return createBridge({ host: route, name: bridge, address, mtu: 1500 }).index;
      });
      const [net0 = 0, net1 = 0, net2 = 0] = indexes;
      host.sysctl('ip_forward', '1');
      for (const { bridge } of networks) host.sysctl(`conf/${bridge}/route_localnet`, '1');
      ensureNatTable(nft);
      for (const network of networks) addBridgeRules(nft, network);
      connectContainer(route, a, { bridgeIndex: net0, address: '172.17.0.2', gateway: '172.17.0.1' });
      connectContainer(route, b, { bridgeIndex: net0, address: '172.17.0.3', gateway: '172.17.0.1' });
      connectContainer(route, c, { bridgeIndex: net1, address: '172.18.0.2', gateway: '172.18.0.1' });
      connectContainer(route, inner, { bridgeIndex: net2, address: '172.19.0.2', gateway: '172.19.0.1' });
      const published = [
        port('0.0.0.0', 8080),
        port('0.0.0.0', 8080, 'udp'),
        port('127.0.0.1', 8081),
        port('10.9.0.1', 8082),
      ];
      publishPorts(nft, published);

      using servers = new DisposableStack();
      servers.use(await a.startNode(serverSource, 'a', '80'));
      servers.use(await server.startNode(serverSource, 'server', '8080'));
      servers.use(await inner.startNode(serverSource, 'inner', '80'));

      const matrix = async (cases: readonly (readonly [TestNetns, string, string, string?])[]): Promise<void> => {
        const found = await Promise.all(cases.map(([from, target, , protocol]) => fetchLine(from, target, protocol)));
        const named = (answers: readonly string[]): readonly string[] =>
          cases.map(([, target], index) => `${target}: ${answers[index] ?? ''}`);
        expect(named(found)).toEqual(named(cases.map(([, , expected]) => expected)));
      };

      // Published ports, with the client's own address seen by the container (V54).
      await matrix([
        [lan, '10.9.0.1:8080', 'a 10.9.0.2'],
        [lan, '10.9.0.1:8080', 'a 10.9.0.2', 'udp'],
        [lan, '10.9.0.1:8082', 'a 10.9.0.2'],
        [server, '10.10.0.1:8080', 'a 10.10.0.2'],
      ]);
      // From the host itself: loopback is masqueraded, the host's other addresses need not be.
      await matrix([
        [host, '127.0.0.1:8080', 'a 172.17.0.1'],
        [host, '127.0.0.1:8080', 'a 172.17.0.1', 'udp'],
        [host, '127.0.0.1:8081', 'a 172.17.0.1'],
        [host, '10.9.0.1:8082', 'a 10.9.0.1'],
        [host, '172.17.0.2:80', 'a 172.17.0.1'],
      ]);
      // From containers: directly, out to the world, hairpin to themselves and to a neighbour, and from another network.
      await matrix([
        [b, '172.17.0.2:80', 'a 172.17.0.3'],
        [b, '10.10.0.2:8080', 'server 10.10.0.1'],
        [b, '10.9.0.1:8080', 'a 172.17.0.1'],
        [a, '10.9.0.1:8080', 'a 172.17.0.1'],
        [a, '172.17.0.1:8080', 'a 172.17.0.1'],
        [c, '10.9.0.1:8080', 'a 172.17.0.1'],
      ]);
      // Somebody else's traffic to the same port passes as it is (CVE-2025-67499).
      await matrix([[lan, '10.10.0.2:8080', 'server 10.9.0.2']]);

      // No way by a container's own address, between networks, or to a port that is published elsewhere (V50, V51).
      const closed: readonly (readonly [TestNetns, string, string])[] = [
        [lan, '172.17.0.2:80', 'no answer'],
        [c, '172.17.0.2:80', 'no answer'],
        [lan, '10.9.0.1:8081', 'ECONNREFUSED'],
        [server, '10.10.0.1:8082', 'ECONNREFUSED'],
        [lan, '172.19.0.2:80', 'no answer'],
        [inner, '10.10.0.2:8080', 'no answer'],
        [inner, '172.17.0.2:80', 'no answer'],
        [inner, '10.9.0.1:8080', 'no answer'],
      ];
      await matrix(closed);
      await matrix([[host, '172.19.0.2:80', 'inner 172.19.0.1']]);

      // A neighbour who routes loopback to us gets nothing, even if somebody allowed it on that wire (V49).
      lan.sysctl('conf/eth0/route_localnet', '1');
      lan.run('ip', 'route', 'add', '127.0.0.1', 'via', '10.9.0.1', 'src', '10.9.0.2');
      host.sysctl('conf/lan0/route_localnet', '1');
      await matrix([[lan, '127.0.0.1:8081', 'no answer']]);
      // The same attempts succeed without our rules, so it is those that stop them; made again, they stop them again.
      host.run('nft', 'flush', 'chain', 'ip', 'tsc', 'guard');
      host.run('nft', 'flush', 'chain', 'ip', 'tsc', 'forward');
      await matrix([
        [lan, '127.0.0.1:8081', 'a 10.9.0.2'],
        [lan, '172.17.0.2:80', 'a 10.9.0.2'],
      ]);
      ensureNatTable(nft);
      await matrix([[lan, '127.0.0.1:8081', 'no answer'], ...closed]);

      // Withdrawn ports and networks are gone, and in the end everything is.
      unpublishPorts(nft, published.slice(0, 2));
      await matrix([
        [lan, '10.9.0.1:8080', 'ECONNREFUSED'],
        [lan, '10.9.0.1:8082', 'a 10.9.0.2'],
      ]);
      unpublishPorts(nft, published);
      for (const network of networks) removeBridgeRules(nft, network);
      expect(listNatTable(nft)).toEqual({ complete: true, networks: [], ports: [] });
      deleteNatTable(nft);
      expect(host.run('nft', 'list', 'ruleset')).toBe('');
      for (const { bridge } of networks) removeLink({ host: route, name: bridge });
      for (const name of ['v1721702', 'v1721703', 'v1721802', 'v1721902']) removeLink({ host: route, name });
      expect(route.listLinks().map(({ name }) => name)).toEqual(['lo', 'lan0', 'wan0']);
    },
  );
});
