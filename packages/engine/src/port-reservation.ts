import { randomInt } from 'node:crypto';
import { closeSync } from 'node:fs';

import type { PublishedPort } from '@tsc/netlink';
import {
  AF_INET,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_REUSEADDR,
  bind,
  hasCode,
  listen,
  setsockopt,
  sockaddr_in,
  socket,
} from '@tsc/sys';

import type { NetworkRecord } from './container-record.ts';
import type { PortSpec } from './container-spec.ts';
import { EngineError } from './errors.ts';

const FIRST_EPHEMERAL = 32_768;
const LAST_EPHEMERAL = 60_999;
const ATTEMPTS = 100;
const IPPROTO_SCTP = 132;

type HostPort = NetworkRecord['ports'][number];
export type PortTaken = (port: Omit<PublishedPort, 'containerAddress'>) => boolean;

export interface PortReservation {
  readonly ports: readonly HostPort[];
  readonly fds: readonly number[];
}

function openSocket(protocol: PortSpec['protocol']): number {
  if (protocol === 'udp') return socket(AF_INET, SOCK_DGRAM, 0);
  if (protocol === 'tcp') return socket(AF_INET, SOCK_STREAM, 0);
  return socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
}

/**
 * Takes a port from the host's programs: the packets are redirected before they reach this socket, but nobody else can
 * have the port meanwhile, and whoever has it already is found out. `undefined` when it is taken.
 */
function reserve(port: HostPort): number | undefined {
  const fd = openSocket(port.protocol);
  try {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, port.protocol === 'tcp' ? 1 : 0);
    bind(fd, sockaddr_in(port.hostAddress, port.hostPort));
    // Bound alone, a second listener with SO_REUSEADDR would get it all the same.
    if (port.protocol === 'tcp') listen(fd, 0);
    return fd;
  } catch (error) {
    closeSync(fd);
    if (hasCode(error, 'EADDRINUSE')) return undefined;
    throw bindError(port, error);
  }
}

function bindError(port: HostPort, cause: unknown): unknown {
  if (!hasCode(cause, 'EADDRNOTAVAIL')) return cause;
  return new EngineError(
    'ENGINE_INVALID_SPEC',
    `cannot publish on ${port.hostAddress}: it is no address of this host`,
    {
      cause,
    },
  );
}

const inUse = (port: HostPort): EngineError =>
  new EngineError(
    'ENGINE_PORT_IN_USE',
    `bind for ${port.hostAddress}:${String(port.hostPort)} failed: port is already allocated`,
  );

/** A port with what was left open settled. */
export function settlePort(spec: PortSpec, hostPort: number): HostPort {
  const { protocol, containerPort, hostAddress = '0.0.0.0' } = spec;
  return { protocol, hostAddress, hostPort, containerPort };
}

function reserveAny(spec: PortSpec, taken: PortTaken): [HostPort, number] {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = settlePort(spec, randomInt(FIRST_EPHEMERAL, LAST_EPHEMERAL + 1));
    const fd = taken(port) ? undefined : reserve(port);
    if (fd !== undefined) return [port, fd];
  }
  throw new EngineError('ENGINE_PORT_IN_USE', 'no free host port was found');
}

function reserveOne(spec: PortSpec, taken: PortTaken): [HostPort, number] {
  if (spec.hostPort === undefined) return reserveAny(spec, taken);
  const port = settlePort(spec, spec.hostPort);
  const fd = taken(port) ? undefined : reserve(port);
  if (fd === undefined) throw inUse(port);
  return [port, fd];
}

/** Reserves all of the ports or none, choosing those that have no number. @throws EngineError `ENGINE_PORT_IN_USE` */
export function reservePorts(specs: readonly PortSpec[], taken: PortTaken): PortReservation {
  const reserved: [HostPort, number][] = [];
  try {
    for (const spec of specs) reserved.push(reserveOne(spec, taken));
  } catch (error) {
    for (const [, fd] of reserved) closeSync(fd);
    throw error;
  }
  return { ports: reserved.map(([port]) => port), fds: reserved.map(([, fd]) => fd) };
}
