import { BlockList, isIP } from 'node:net';

import { ImageError } from '../errors.ts';
import type { ProxyOptions } from './client.ts';
import { isLoopback } from './host-name.ts';

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

const inSubnet = (address: string, cidr: string): boolean => {
  const [network = '', bits = ''] = cidr.split('/');
  const widest = isIP(network) === 6 ? 128 : 32;
  if (isIP(address) === 0 || isIP(network) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > widest) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), familyOf(network));
  return list.check(address, familyOf(address));
};

/** `host`, `[::1]:443`, `10.0.0.1:80`, `::1`; the port is empty where there is none. */
const splitPort = (entry: string): { host: string; port: string } => {
  const found = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry) ?? /^([^:]*):(\d+)$/.exec(entry);
  return found === null ? { host: entry, port: '' } : { host: found[1] ?? '', port: found[2] ?? '' };
};

const matches = (entry: string, hostname: string, port: string): boolean => {
  if (entry === '*') return true;
  if (entry.includes('/')) return inSubnet(hostname, entry);
  const wanted = splitPort(entry);
  if (wanted.port !== '' && wanted.port !== port) return false;
  const name = wanted.host.replace(/^\*(?=\.)/, '');
  if (name.startsWith('.')) return hostname.endsWith(name);
  return hostname === name || (isIP(hostname) === 0 && name !== '' && hostname.endsWith(`.${name}`));
};

const listOf = (no: ProxyOptions['no']): readonly string[] =>
  (typeof no === 'string' ? no.split(/[,\s]+/) : (no ?? []))
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '');

const parseProxy = (text: string): URL => {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  // Not quoted: it may have a password in it.
  throw new ImageError('REGISTRY_CONFIG_INVALID', 'invalid proxy: want an http:// or https:// URL of a host and port');
};

/**
 * The proxy through which a URL is reached; `undefined` for directly.
 *
 * @throws {@link ImageError} `REGISTRY_CONFIG_INVALID`
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config, whose rules these are
 */
export const proxyFor = (url: URL, options: ProxyOptions): URL | undefined => {
  const proxy = url.protocol === 'https:' ? options.https : options.http;
  if (proxy === undefined || proxy === '' || isLoopback(url.hostname)) return undefined;
  const hostname = url.hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return listOf(options.no).some((entry) => matches(entry, hostname, port)) ? undefined : parseProxy(proxy);
};
