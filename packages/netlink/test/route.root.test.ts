import { expect, test } from '@jest/globals';

import {
  addAddress,
  addBridge,
  addRoute,
  addVeth,
  connectVeth,
  createBridge,
  deleteLink,
  openRouteSocket,
  removeLink,
  setLink,
  setLoopbackUp,
} from '@tsc/netlink';
import type { NetlinkError } from '@tsc/netlink';

import { describeRoot } from '../../../test/root.ts';
import { createTestNetns } from './netns.ts';

interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address: string;
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

const ipLinks = (json: string): readonly IpLink[] => JSON.parse(json) as IpLink[];

const failure = (action: () => void): NetlinkError => {
  try {
    action();
  } catch (error) {
    return error as NetlinkError;
  }
  throw new Error('expected an error');
};

describeRoot('rtnetlink', () => {
  test('makes a bridge, a veth pair across namespaces, addresses and routes that ip sees', async () => {
    using host = await createTestNetns();
    using container = await createTestNetns();
    using socket = openRouteSocket({ netnsFd: host.fd });
    const { index } = createBridge({ host: socket, name: 'tsc0', address: '172.17.0.1/16', mtu: 1400 });
    const sent = socket.sendCount;
    const veth = connectVeth({
      host: socket,
      netnsFd: container.fd,
      bridgeIndex: index,
      hostName: 'veth1',
      containerName: 'eth0',
      mac: '02:42:ac:11:00:02',
      mtu: 1300,
      address: '172.17.0.2/16',
      gateway: '172.17.0.1',
    });
    expect(socket.sendCount - sent).toBe(1);

    const onHost = ipLinks(host.run('ip', '-j', '-d', 'link'));
    expect(onHost.find(({ ifname }) => ifname === 'tsc0')).toMatchObject({
      ifindex: index,
      mtu: 1400,
      address: '02:42:ac:11:00:01',
      linkinfo: { info_kind: 'bridge' },
    });
    const near = onHost.find(({ ifname }) => ifname === 'veth1');
    expect(near).toMatchObject({ ifindex: veth.hostIndex, mtu: 1300, master: 'tsc0' });
    expect(host.run('bridge', '-d', 'link', 'show', 'dev', 'veth1')).toContain('hairpin on');
    expect(near?.flags).toEqual(expect.arrayContaining(['UP', 'LOWER_UP']));

    const inside = ipLinks(container.run('ip', '-j', '-d', 'link'));
    expect(inside.find(({ ifname }) => ifname === 'lo')?.flags).toContain('UP');
    const far = inside.find(({ ifname }) => ifname === 'eth0');
    expect(far).toMatchObject({ ifindex: 2, mtu: 1300, address: '02:42:ac:11:00:02' });
    expect(far?.flags).toEqual(expect.arrayContaining(['UP', 'LOWER_UP']));
    expect(container.run('ip', '-br', '-4', 'addr', 'show', 'eth0')).toContain('172.17.0.2/16');
    expect(container.run('ip', 'route')).toContain('default via 172.17.0.1 dev eth0');

    removeLink({ host: socket, name: 'veth1' });
    removeLink({ host: socket, name: 'veth1' });
    removeLink({ host: socket, name: 'tsc0' });
    expect(ipLinks(host.run('ip', '-j', 'link')).map(({ ifname }) => ifname)).toEqual(['lo']);
    expect(ipLinks(container.run('ip', '-j', 'link')).map(({ ifname }) => ifname)).toEqual(['lo']);
  });

  test('lists what ip made', async () => {
    using netns = await createTestNetns();
    netns.run('ip', 'link', 'set', 'lo', 'up');
    netns.run('ip', 'link', 'add', 'br0', 'address', '02:00:00:00:00:01', 'type', 'bridge');
    netns.run('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    netns.run('ip', 'link', 'set', 'v0', 'master', 'br0', 'up');
    netns.run('ip', 'link', 'set', 'br0', 'up', 'mtu', '1300');
    netns.run('ip', 'addr', 'add', '10.1.2.3/24', 'broadcast', '10.1.2.255', 'dev', 'br0');
    netns.run('ip', 'route', 'add', '10.5.0.0/16', 'via', '10.1.2.9', 'metric', '7');
    netns.run('ip', 'route', 'add', 'blackhole', '10.6.0.0/16');
    using socket = openRouteSocket({ netnsFd: netns.fd });

    const bridge = socket.getLink('br0');
    expect(bridge).toMatchObject({ name: 'br0', mtu: 1300, mac: '02:00:00:00:00:01', kind: 'bridge', up: true });
    const links = socket.listLinks();
    expect(links.map(({ name }) => name).sort()).toEqual(['br0', 'lo', 'v0', 'v1']);
    const v0 = links.find(({ name }) => name === 'v0');
    const v1 = links.find(({ name }) => name === 'v1');
    expect(v0).toMatchObject({ kind: 'veth', up: true, carrier: false, master: bridge?.index, peerIndex: v1?.index });
    expect(v1).toMatchObject({ up: false, master: undefined, peerIndex: v0?.index });
    expect(socket.getLink('nothing')).toBeUndefined();

    expect(socket.listAddresses()).toEqual([
      { index: 1, address: '127.0.0.1/8', broadcast: undefined, label: 'lo' },
      { index: bridge?.index, address: '10.1.2.3/24', broadcast: '10.1.2.255', label: 'br0' },
    ]);
    const main = socket.listRoutes().filter(({ table }) => table === 254);
    expect(main).toEqual([
      expect.objectContaining({ destination: '10.1.2.0/24', source: '10.1.2.3', index: bridge?.index }),
      expect.objectContaining({ destination: '10.5.0.0/16', gateway: '10.1.2.9', metric: 7, type: 'unicast' }),
      expect.objectContaining({ destination: '10.6.0.0/16', type: 'blackhole' }),
    ]);
  });

  test('names the request that failed and what the kernel says of it', async () => {
    using netns = await createTestNetns();
    using socket = openRouteSocket({ netnsFd: netns.fd });
    expect(
      failure(() => {
        socket.batch([
          setLoopbackUp(),
          addBridge({ name: 'tsc0' }),
          addBridge({ name: 'tsc0' }),
          setLink({ name: 'nothing', up: true }),
        ]);
      }),
    ).toMatchObject({
      name: 'NetlinkError',
      code: 'NETLINK_EXISTS',
      errno: 'EEXIST',
      index: 2,
      request: 'add bridge tsc0',
      message: 'cannot add bridge tsc0: EEXIST',
    });
    const unreachable = failure(() => {
      socket.batch([addRoute({ destination: 'default', gateway: '10.0.0.1' })]);
    });
    expect(unreachable).toMatchObject({ code: 'NETLINK_REFUSED', errno: 'ENETUNREACH', index: 0 });
    expect(unreachable.kernelText).toBe('Nexthop has invalid gateway');
    expect(unreachable.message).toBe(
      'cannot add route to default via 10.0.0.1: ENETUNREACH (Nexthop has invalid gateway)',
    );
    expect(
      failure(() => {
        socket.batch([deleteLink({ name: 'nothing' })]);
      }).code,
    ).toBe('NETLINK_NOT_FOUND');
    expect(
      failure(() => {
        socket.batch([addAddress({ index: 99, address: '10.0.0.1/8' })]);
      }).code,
    ).toBe('NETLINK_NOT_FOUND');
  });

  test('tries other indexes when a device sits on the usual one', async () => {
    using host = await createTestNetns();
    using container = await createTestNetns();
    container.run('ip', 'link', 'add', 'index', '2', 'dummy', 'type', 'bridge');
    using socket = openRouteSocket({ netnsFd: host.fd });
    const { index } = createBridge({ host: socket, name: 'tsc0', address: '172.17.0.1/16' });
    const { hostIndex, containerIndex } = connectVeth({
      host: socket,
      netnsFd: container.fd,
      bridgeIndex: index,
      hostName: 'veth1',
      containerName: 'eth1',
      mac: '02:42:ac:11:00:02',
      mtu: 1500,
      address: '172.17.0.2/16',
    });
    expect(containerIndex).toBe(hostIndex);
    expect(container.run('ip', '-br', '-4', 'addr', 'show', 'eth1')).toContain('172.17.0.2/16');
    expect(container.run('ip', 'route')).not.toContain('default');
  });

  test('leaves no half of a pair behind', async () => {
    using host = await createTestNetns();
    using container = await createTestNetns();
    using socket = openRouteSocket({ netnsFd: host.fd });
    const { index } = createBridge({ host: socket, name: 'tsc0', address: '172.17.0.1/16' });
    const connection = {
      host: socket,
      netnsFd: container.fd,
      bridgeIndex: index,
      hostName: 'veth1',
      containerName: 'eth0',
      mac: '02:42:ac:11:00:02',
      mtu: 1500,
      address: '172.17.0.2/16',
    };
    const failed = failure(() => connectVeth({ ...connection, gateway: '192.168.0.1' }));
    expect(failed).toMatchObject({
      errno: 'ENETUNREACH',
      request: 'add route to default via 192.168.0.1 on interface 2',
    });
    expect(socket.getLink('veth1')).toBeUndefined();
    expect(failure(() => connectVeth({ ...connection, address: '172.17.0.2' })).code).toBe('NETLINK_INVALID');
    expect(socket.getLink('veth1')).toBeUndefined();

    expect(failure(() => connectVeth({ ...connection, bridgeIndex: 9999 })).request).toBe(
      'add veth veth1 with peer eth0',
    );
    expect(socket.getLink('veth1')).toBeUndefined();

    socket.batch([addBridge({ name: 'veth1' })]);
    expect(failure(() => connectVeth(connection)).code).toBe('NETLINK_EXISTS');
    expect(socket.getLink('veth1')?.kind).toBe('bridge');
    expect(failure(() => createBridge({ host: socket, name: 'tsc0', address: '10.0.0.1/8' })).code).toBe(
      'NETLINK_EXISTS',
    );
    expect(socket.getLink('tsc0')?.index).toBe(index);
  });

  test('takes a batch of a thousand and dumps longer than one datagram', async () => {
    using netns = await createTestNetns();
    using socket = openRouteSocket({ netnsFd: netns.fd });
    const addresses = Array.from({ length: 1000 }, (_, n) => `10.${String(n >> 8)}.${String(n & 255)}.1/32`);
    socket.batch(addresses.map((address) => addAddress({ index: 1, address })));
    expect(socket.sendCount).toBe(1);
    expect(new Set(socket.listAddresses().map(({ address }) => address))).toEqual(new Set(addresses));
    // Every one is there already: a thousand refusals, more than the receive buffer holds.
    expect(
      failure(() => {
        socket.batch(addresses.map((address) => addAddress({ index: 1, address })));
      }),
    ).toMatchObject({ code: 'NETLINK_EXISTS', index: 0 });
    expect(socket.listAddresses()).toHaveLength(1000); // and the socket is still of use
  });

  test('connects a second veth pair made by hand', async () => {
    using host = await createTestNetns();
    using other = await createTestNetns();
    using socket = openRouteSocket({ netnsFd: host.fd });
    socket.batch([
      addBridge({ name: 'br0', up: true }),
      addVeth({
        name: 'a',
        peerName: 'b',
        peerNetnsFd: other.fd,
        mac: '02:00:00:00:00:0a',
        peerMac: '02:00:00:00:00:0b',
      }),
      setLink({ name: 'a', up: true, mtu: 1200 }),
    ]);
    const bridge = socket.getLink('br0');
    socket.batch([setLink({ name: 'a', master: bridge?.index })]);
    expect(socket.getLink('a')).toMatchObject({ up: true, mtu: 1200, mac: '02:00:00:00:00:0a', master: bridge?.index });
    expect(other.run('ip', 'link', 'show', 'b')).toContain('02:00:00:00:00:0b');
  });
});
