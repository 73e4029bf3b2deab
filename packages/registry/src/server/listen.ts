import { lookup } from 'node:dns/promises';
import { isIP, SocketAddress } from 'node:net';

import { RegistryConfigError } from '../errors.ts';

/** Where to listen. */
export interface ListenAddress {
  /** As it was written: a name or an address, without brackets. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

const OPTION = 'listen';

/**
 * Reads `host:port`. Names are looked up once: what is decided about an address is then about the one listened on.
 *
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`
 */
export async function parseListen(listen: string): Promise<ListenAddress> {
  const bad = (why: string, cause?: unknown): RegistryConfigError =>
    new RegistryConfigError('CONFIG_INVALID', `cannot listen on ${JSON.stringify(listen)}: ${why}`, {
      option: OPTION,
      cause,
    });
  const colon = listen.lastIndexOf(':');
  const written = listen.slice(0, Math.max(colon, 0));
  const port = listen.slice(colon + 1);
  const bracketed = /^\[(.*)\]$/.exec(written)?.[1];
  const host = bracketed ?? written;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535 || host === '') throw bad('want address:port');
  if (host.includes(':') && (bracketed === undefined || isIP(host) !== 6)) throw bad('want [address]:port for IPv6');
  if (isIP(host) !== 0) return { host, address: host, port: Number(port) };
  try {
    return { host, address: (await lookup(host)).address, port: Number(port) };
  } catch (cause) {
    throw bad('its name is unknown', cause);
  }
}

/** Whether only this machine reaches an address. */
export function isLoopback(address: string): boolean {
  const parsed =
    isIP(address) === 0 ? undefined : SocketAddress.parse(address.includes(':') ? `[${address}]` : address);
  const plain = (parsed?.address ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** What is there that keeps strangers out. */
export interface Guards {
  readonly accounts: boolean;
  readonly tls: boolean;
  /** Whether it was said that passwords and contents may be read on their way. */
  readonly plainHttp: boolean;
}

/**
 * Refuses to be open to everybody by oversight: beyond loopback there must be accounts, and TLS or the word that there needn't.
 *
 * @throws {@link RegistryConfigError} `CONFIG_UNSAFE`: says what to add
 */
export function checkGuards({ host, address, port }: ListenAddress, { accounts, tls, plainHttp }: Guards): void {
  if (isLoopback(address)) return;
  const where = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  const unsafe = (why: string, option: string): RegistryConfigError =>
    new RegistryConfigError('CONFIG_UNSAFE', `cannot listen on ${where}, which others can reach: ${why}`, { option });
  if (!accounts) throw unsafe('add access with accounts (or with anonymous rights), or listen on 127.0.0.1', 'access');
  if (tls || plainHttp) return;
  throw unsafe('add tls with certFile and keyFile, or plainHttp: true where a proxy or the network does that', 'tls');
}
