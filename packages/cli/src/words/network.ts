import { isIP } from 'node:net';

import type { NetworkMode } from '@tsc/engine';

import { badValue, notSupported } from '../errors.ts';

/** `--add-host host:address` or `host=address`, as the `host:address` that the engine takes. */
export function parseExtraHost(word: string): string {
  const match = /^([^:=]+)[:=](.+)$/.exec(word);
  if (match === null) throw badValue(`bad format for add-host: "${word}"`);
  const [, host = '', written = ''] = match;
  const address = /^\[.*\]$/.test(written) ? written.slice(1, -1) : written;
  if (address !== 'host-gateway' && isIP(address) === 0) throw badValue(`invalid IP address in add-host: "${address}"`);
  return `${host}:${address}`;
}

/** The address of a name server. */
export function parseNameServer(word: string): string {
  if (isIP(word.trim()) === 0) throw badValue(`${word} is not an ip address`);
  return word.trim();
}

/** `bridge` (also `default`), `none`, `host`. */
export function parseNetwork(word: string): NetworkMode {
  if (word === 'default') return 'bridge';
  if (word === 'bridge' || word === 'none' || word === 'host') return word;
  if (word.startsWith('container:')) throw notSupported('sharing the network of another container');
  throw notSupported(`the network "${word}" (there are bridge, none and host): a network made by the user`);
}
