// Gives two namespaces a bridge network with a published port, all inside namespaces of its own, and says what it cost.
// Needs root. Run: node bench/netlink.ts
import { closeSync } from 'node:fs';

import {
  addBridgeRules,
  connectVeth,
  createBridge,
  ensureNatTable,
  listNatTable,
  macFromIpv4,
  openNftSocket,
  openRouteSocket,
  publishPorts,
  unpublishPorts,
} from '@tsc/netlink';
import type { PublishedPort } from '@tsc/netlink';
import { CLONE_NEWNET, unshare } from '@tsc/sys';

const newNetns = async (): Promise<number> => (await unshare(CLONE_NEWNET))[0] ?? -1;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const timed = (action: () => void): number => {
  const start = performance.now();
  action();
  return (performance.now() - start) * 1000;
};
const report = (what: string, microseconds: number, sendmsgCalls: number): void =>
  console.log(`${what.padEnd(34)} ${microseconds.toFixed(0).padStart(6)} µs  ${String(sendmsgCalls)} sendmsg`);

const hostNetns = await newNetns();
const containers = await Promise.all(Array.from({ length: 20 }, newNetns));
{
  using route = openRouteSocket({ netnsFd: hostNetns });
  using nft = openNftSocket({ netnsFd: hostNetns });

  const { index } = createBridge({ host: route, name: 'tsc0', address: '172.17.0.1/16', mtu: 1500 });
  ensureNatTable(nft);
  addBridgeRules(nft, { bridge: 'tsc0', subnet: '172.17.0.0/16' });

  let sent = route.sendCount;
  const connecting = containers.map((netnsFd, n) => {
    const address = `172.17.0.${String(n + 2)}`;
    return timed(() =>
      connectVeth({
        host: route,
        netnsFd,
        bridgeIndex: index,
        hostName: `veth${String(n)}`,
        containerName: 'eth0',
        mac: macFromIpv4(address),
        mtu: 1500,
        address: `${address}/16`,
        gateway: '172.17.0.1',
      }),
    );
  });
  // One more is sent on a socket inside the container's namespace.
  report('connectVeth', median(connecting), (route.sendCount - sent) / containers.length + 1);

  const ports = Array.from({ length: 200 }, (_, n): PublishedPort => ({
    protocol: 'tcp',
    hostAddress: '0.0.0.0',
    hostPort: 8000 + n,
    containerAddress: '172.17.0.2',
    containerPort: 80,
  }));
  const measure = (what: string, action: () => void): void => {
    sent = nft.sendCount;
    const microseconds = timed(action);
    report(what, microseconds, nft.sendCount - sent);
  };
  report('publishPorts, one port', median(ports.map((port) => timed(() => publishPorts(nft, [port])))), 1);
  report('unpublishPorts, one port', median(ports.map((port) => timed(() => unpublishPorts(nft, [port])))), 2);
  measure('publishPorts, 200 ports', () => publishPorts(nft, ports));
  measure('unpublishPorts, 200 ports', () => unpublishPorts(nft, ports));
  report('ensureNatTable, median of 50', median(Array.from({ length: 50 }, () => timed(() => ensureNatTable(nft)))), 1);
  report('listNatTable', median(Array.from({ length: 50 }, () => timed(() => listNatTable(nft)))), 6);
}
// The links and the rules go with the namespaces, when the last descriptor is closed.
for (const fd of [hostNetns, ...containers]) closeSync(fd);
