import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

import type { PortSpec } from './container-spec.ts';

/** `/proc/net/tcp` has a line per socket: local address and port as second field, inode as tenth. */
const LOCAL_PORT = /^[0-9A-F]+:([0-9A-F]{4})$/;

function ifReadable<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise; // the process ended while it was looked at
  }
}

function socketsOn({ protocol, hostPort }: PortSpec): ReadonlySet<string> {
  if (protocol === 'sctp') return new Set();
  const lines = readFileSync(`/proc/net/${protocol}`, 'utf8').split('\n').slice(1);
  const inodes = lines.flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const port = LOCAL_PORT.exec(fields[1] ?? '')?.[1];
    return port !== undefined && Number.parseInt(port, 16) === hostPort ? [`socket:[${fields[9] ?? ''}]`] : [];
  });
  return new Set(inodes);
}

const isMonitor = (pid: string): boolean =>
  ifReadable(() => readlinkSync(`/proc/${pid}/exe`), '').startsWith('/memfd:tsc-init');

function holds(pid: string, sockets: ReadonlySet<string>): boolean {
  const fds = ifReadable(() => readdirSync(`/proc/${pid}/fd`), []);
  return fds.some((fd) => sockets.has(ifReadable(() => readlinkSync(`/proc/${pid}/fd/${fd}`), '')));
}

/**
 * Whether a program that is no container's monitor has a port of the host. A socket that nobody can be seen to hold is
 * about to go, with the process that held it.
 */
export function isHeldByStranger(port: PortSpec): boolean {
  const sockets = socketsOn(port);
  return (
    sockets.size > 0 && readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && holds(pid, sockets) && !isMonitor(pid))
  );
}
