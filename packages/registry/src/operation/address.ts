import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * Makes a test of addresses: whether one is in any of these networks.
 *
 * @param networks - addresses and networks: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`
 * @throws TypeError: one of them is neither
 */
export function compileNetworks(networks: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return (address) => {
    const version = address === undefined ? 0 : isIP(address);
    return address !== undefined && version !== 0 && list.check(address, familyOf(version));
  };
}

const familyOf = (version: number): 'ipv4' | 'ipv6' => (version === 4 ? 'ipv4' : 'ipv6');

function addNetwork(list: BlockList, network: string): void {
  const [, address = '', bits] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const version = isIP(address);
  const widest = version === 4 ? 32 : 128;
  if (version === 0 || Number(bits ?? 0) > widest) {
    throw new TypeError(`${JSON.stringify(network)} is no address and no network: want 10.0.0.0/8 or fd00::1`);
  }
  list.addSubnet(address, bits === undefined ? widest : Number(bits), familyOf(version));
}

/** An IPv4 client of a socket that is open for both is that client. */
const plain = (address: string | undefined): string | undefined =>
  address?.startsWith('::') === true ? address.replace(/^::ffff:(?=\d+\.)/i, '') : address;

/** `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`: proxies write all of these. */
function hopAddress(text: string): string | undefined {
  const trimmed = text.trim();
  const address = plain(
    /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? trimmed.replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1'),
  );
  return address !== undefined && isIP(address) !== 0 ? address : undefined;
}

/**
 * Who a request comes from: the last hop that isn't one of our proxies. What `X-Forwarded-For` says further left was
 * written by whoever is not ours.
 *
 * @param isTrusted - whether an address is a proxy's that writes down truly where a request came from
 */
export function clientAddress(
  request: IncomingMessage,
  isTrusted: (address: string | undefined) => boolean,
): string | undefined {
  let address = plain(request.socket.remoteAddress);
  if (!isTrusted(address)) return address;
  const header = request.headers['x-forwarded-for'] ?? '';
  const hops = (Array.isArray(header) ? header.join(',') : header).split(',');
  while (isTrusted(address) && hops.length > 0) {
    const hop = hopAddress(hops.pop() ?? '');
    if (hop === undefined) break;
    address = hop;
  }
  return address;
}

const LOOPBACK = compileNetworks(['127.0.0.0/8', '::1']);

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/**
 * Whether a program on this machine asks for itself: not one that says that it passes on what others ask, and not a browser
 * that was led here by another name.
 */
export const isLoopback = ({ headers }: IncomingMessage, address: string | undefined): boolean =>
  LOOPBACK(address) &&
  LOOPBACK_HOST.test(headers.host ?? 'localhost') &&
  ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'].every((name) => headers[name] === undefined);
