// Joins two new network namespaces by a cable, gives one end an address, and shows it. Needs root; leaves nothing.
import { addAddress, addVeth, openRouteSocket, setLink } from '@tsc/netlink';
import { CLONE_NEWNET, unshare } from '@tsc/sys';

const [here = -1] = await unshare(CLONE_NEWNET);
const [there = -1] = await unshare(CLONE_NEWNET);
using route = openRouteSocket({ netnsFd: here });
route.batch([addVeth({ name: 'cable', index: 7, peerName: 'eth0', peerIndex: 7, peerNetnsFd: there })]);
using peer = openRouteSocket({ netnsFd: there });
peer.batch([addAddress({ index: 7, address: '10.0.0.2/24' }), setLink({ index: 7, up: true })]);
for (const { address } of peer.listAddresses()) console.log(`eth0 has ${address}`);
