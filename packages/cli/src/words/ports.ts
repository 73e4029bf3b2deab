import { isIPv4 } from 'node:net';

import type { PortSpec } from '@tsc/engine';

import { badValue, notSupported } from '../errors.ts';

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/** `[address:][hostPort[-range]]:containerPort[-range][/protocol]`, one result per port of a range. */
export function parsePublish(word: string): readonly PortSpec[] {
  const slash = word.lastIndexOf('/');
  const protocol = parseProtocol(slash === -1 ? 'tcp' : word.slice(slash + 1));
  const { address, host, container } = splitAddress(slash === -1 ? word : word.slice(0, slash));
  if (container === '') throw badValue(`no port specified: ${word}<empty>`);
  const containerPorts = parseRange(container, 'containerPort');
  const hostPorts = host === '' ? undefined : parseRange(host, 'hostPort');
  if (hostPorts !== undefined && hostPorts.length !== containerPorts.length) {
    if (containerPorts.length === 1) throw notSupported(`a free port out of the range ${host}`);
    throw badValue(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
  }
  return containerPorts.map((containerPort, i) => ({
    protocol,
    containerPort,
    ...(address === '' ? {} : { hostAddress: address }),
    ...(hostPorts === undefined ? {} : { hostPort: hostPorts[i] }),
  }));
}

/** `80`, `80/udp`, `8000-8010/tcp`: what EXPOSE and the `port` command name. */
export function parseExposed(
  word: string,
): readonly { readonly protocol: PortSpec['protocol']; readonly port: number }[] {
  const [ports = '', protocolWord = 'tcp'] = word.split('/');
  const protocol = parseProtocol(protocolWord);
  return parseRange(ports, 'containerPort').map((port) => ({ protocol, port }));
}

function parseProtocol(word: string): PortSpec['protocol'] {
  const protocol = PROTOCOLS.find((known) => known === word.toLowerCase());
  if (protocol === undefined) throw badValue(`invalid proto: ${word}`);
  return protocol;
}

function splitAddress(word: string): { address: string; host: string; container: string } {
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(word);
  if (bracketed !== null || word.split(':').length > 3) {
    throw notSupported(`publishing on an IPv6 address (${word})`);
  }
  const parts = word.split(':');
  const container = parts.pop() ?? '';
  const host = parts.pop() ?? '';
  const address = parts.pop() ?? '';
  if (address !== '' && !isIPv4(address)) throw badValue(`invalid IP address: ${address}`);
  return { address, host, container };
}

function parseRange(word: string, what: string): readonly number[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(word);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last > 65535 || first > last || (first === 0 && what === 'containerPort')) {
    throw badValue(`invalid ${what}: ${word}`);
  }
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
