import { describe, expect, test } from '@jest/globals';

import { encodeMessages } from '../wire/message.ts';
import { addAddress, decodeAddress } from './address.ts';
import { LINK_HEADER_BYTES, ROUTE_HEADER_BYTES } from './headers.ts';
import { addBridge, addVeth, decodeLink, deleteLink, setLink, setLoopbackUp } from './link.ts';
import type { RouteRequest } from './request.ts';
import { addRoute, decodeRoute } from './route.ts';

/** What the kernel would read: a request's payload has the form of the answers. */
const payload = ({ message }: RouteRequest): Buffer => encodeMessages([message], 1).subarray(16);

describe('requests', () => {
  test('say what they do', () => {
    const requests = [
      addBridge({ name: 'tsc0' }),
      addVeth({ name: 'v0', peerName: 'eth0', peerNetnsFd: 9 }),
      setLink({ name: 'v0', up: true }),
      deleteLink({ index: 4 }),
      addAddress({ index: 2, address: '10.0.0.1/8' }),
      addRoute({ destination: 'default', gateway: '10.0.0.2' }),
      addRoute({ destination: '10.1.0.0/16', index: 3 }),
      setLoopbackUp(),
    ];
    expect(requests.map(({ description }) => description)).toEqual([
      'add bridge tsc0',
      'add veth v0 with peer eth0',
      'set v0',
      'delete interface 4',
      'add address 10.0.0.1/8 to interface 2',
      'add route to default via 10.0.0.2',
      'add route to 10.1.0.0/16 on interface 3',
      'set lo up',
    ]);
  });

  test('carry what was asked for', () => {
    expect(decodeLink(payload(addBridge({ name: 'tsc0', mtu: 1400, address: '02:00:00:00:00:01', up: true })))).toEqual(
      {
        index: 0,
        name: 'tsc0',
        up: true,
        carrier: false,
        mtu: 1400,
        mac: '02:00:00:00:00:01',
        kind: 'bridge',
        master: undefined,
        peerIndex: undefined,
      },
    );
    const veth = addVeth({ name: 'v0', index: 70_000, master: 3, up: true, peerName: 'eth0', peerNetnsFd: 9 });
    expect(decodeLink(payload(veth))).toMatchObject({ index: 70_000, name: 'v0', kind: 'veth', master: 3, up: true });
    expect(payload(setLink({ index: 5, up: false })).readUInt32LE(12)).toBe(1); // IFF_UP is meant,
    expect(payload(setLink({ index: 5, mtu: 1400 })).readUInt32LE(12)).toBe(0); // and here not
    expect(payload(deleteLink({ index: 5 }))).toHaveLength(LINK_HEADER_BYTES);

    const address = addAddress({ index: 2, address: '172.17.0.2/16', broadcast: '172.17.255.255' });
    expect(decodeAddress(payload(address))).toEqual({
      index: 2,
      address: '172.17.0.2/16',
      broadcast: '172.17.255.255',
      label: undefined,
    });
    const route = { destination: '10.1.0.0/16', gateway: '10.0.0.1', index: 2 };
    expect(decodeRoute(payload(addRoute(route)))).toMatchObject({ ...route, type: 'unicast', table: 254 });
    const everywhere = payload(addRoute({ destination: 'default', index: 2 }));
    expect(decodeRoute(everywhere).destination).toBe('default');
    expect(everywhere).toHaveLength(ROUTE_HEADER_BYTES + 8);
  });

  test.each([
    () => addBridge({ name: '' }),
    () => addBridge({ name: 'sixteen-bytes-xx' }),
    () => addBridge({ name: 'a/b' }),
    () => addBridge({ name: 'a%d' }),
    () => addBridge({ name: '..' }),
    () => addBridge({ name: 'b', mtu: 10 }),
    () => addBridge({ name: 'b', address: '01:00:00:00:00:00' }),
    () => addBridge({ name: 'b', address: '02:00' }),
    () => setLink({ index: 0, up: true }),
    () => addAddress({ index: 2, address: '10.0.0.1' }),
    () => addAddress({ index: 2, address: '10.0.0.1/33' }),
    () => addRoute({ destination: '10.0.0.0/8', gateway: '::1' }),
  ])('are refused before anything is sent: %s', (build) => {
    expect(build).toThrow(expect.objectContaining({ name: 'NetlinkError', code: 'NETLINK_INVALID' }));
  });
});
