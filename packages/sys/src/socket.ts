import { native } from './binding.ts';

export const AF_UNIX: number = 1;
export const AF_INET: number = 2;
export const AF_INET6: number = 10;
export const AF_NETLINK: number = 16;
export const SOCK_STREAM: number = 1;
export const SOCK_DGRAM: number = 2;
export const SOCK_RAW: number = 3;
export const SOCK_SEQPACKET: number = 5;
export const SOCK_NONBLOCK: number = 0o4000;
export const NETLINK_ROUTE: number = 0;
export const NETLINK_NETFILTER: number = 12;
export const SOL_SOCKET: number = 1;
export const SO_REUSEADDR: number = 2;
export const SO_SNDBUF: number = 7;
export const SO_RCVBUF: number = 8;
export const SO_PEERCRED: number = 17;
export const SO_RCVBUFFORCE: number = 33;
export const SOL_NETLINK: number = 270;
export const NETLINK_EXT_ACK: number = 11;
export const NETLINK_CAP_ACK: number = 10;
export const SHUT_RDWR: number = 2;
export const MSG_PEEK: number = 2;
export const MSG_TRUNC: number = 0x20;
export const MSG_DONTWAIT: number = 0x40;
export const MSG_NOSIGNAL: number = 0x4000;

/** Opens a socket with SOCK_CLOEXEC added. */
export const socket = (domain: number, type: number, protocol: number): number =>
  native().socket(domain, type, protocol);

/**
 * Opens a socket inside the network namespace `netnsFd`: a thread of its own enters it with `setns`, opens the socket
 * and ends. The socket stays in that namespace; Node never enters it.
 */
export const socket_in_netns = (netnsFd: number, domain: number, type: number, protocol: number): number =>
  native().socket_in_netns(netnsFd, domain, type, protocol);

export const socketpair = (domain: number, type: number, protocol: number): [number, number] =>
  native().socketpair(domain, type, protocol);

/** `addr` is a whole `sockaddr`, as {@link sockaddr_un} and its siblings make it. */
export const bind = (fd: number, addr: Uint8Array): void => {
  native().bind(fd, addr);
};
export const listen = (fd: number, backlog: number): void => {
  native().listen(fd, backlog);
};
export const connect = (fd: number, addr: Uint8Array): void => {
  native().connect(fd, addr);
};
/** Ends a connection for all descriptors of it, also those of other processes. */
export const shutdown = (fd: number, how: number): void => {
  native().shutdown(fd, how);
};
export const setsockopt = (fd: number, level: number, optname: number, value: number | Uint8Array): void => {
  native().setsockopt(fd, level, optname, value);
};
export const getsockopt = (fd: number, level: number, optname: number, length: number): Buffer =>
  native().getsockopt(fd, level, optname, length);

/** Sends one message, with descriptors if given; returns the bytes taken. Blocks unless MSG_DONTWAIT is given. */
export const sendmsg = (fd: number, data: Uint8Array, fds: readonly number[] = [], flags: number = 0): number =>
  native().sendmsg(fd, data, fds, flags | MSG_NOSIGNAL);

export interface ReceivedMessage {
  /** Empty at the end of a stream. */
  readonly data: Buffer;
  /** Descriptors that came along, ours to close; opened with O_CLOEXEC. */
  readonly fds: readonly number[];
  /** `MSG_TRUNC` is set when the message was longer than `maxBytes`. */
  readonly flags: number;
}

/** Receives one message of at most `maxBytes`. Blocks unless MSG_DONTWAIT is given (then `EAGAIN` when there is none). */
export const recvmsg = (fd: number, maxBytes: number, flags: number = 0): ReceivedMessage =>
  native().recvmsg(fd, maxBytes, flags);

export const sockaddr_nl = (groups: number = 0): Buffer => {
  const addr = Buffer.alloc(12);
  addr.writeUInt16LE(AF_NETLINK, 0);
  addr.writeUInt32LE(groups, 8);
  return addr;
};

/** @throws RangeError for a path over 107 bytes, the kernel's limit: reach it through `/proc/self/fd/<dirfd>/name`. */
export const sockaddr_un = (path: string): Buffer => {
  const bytes = Buffer.from(path);
  if (bytes.length > 107) throw new RangeError(`socket path is longer than 107 bytes: ${path}`);
  const addr = Buffer.alloc(2 + bytes.length + 1);
  addr.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(addr, 2);
  return addr;
};

/** `address` is four numbers with dots. */
export const sockaddr_in = (address: string, port: number): Buffer => {
  const addr = Buffer.alloc(16);
  addr.writeUInt16LE(AF_INET, 0);
  addr.writeUInt16BE(port, 2);
  address.split('.').forEach((part, index) => addr.writeUInt8(Number(part), 4 + index));
  return addr;
};
