import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

import { errnoOf } from '../filesystem/durable.ts';
import type { ByteRange } from '../ranges.ts';
import { systemCalls } from '../system.ts';
import type { Stall } from './stall.ts';

/** Bytes that went to a socket beside Node, which doesn't count them. */
const beside = new WeakMap<Socket, number>();

/** How many bytes went to a socket beside Node. */
export const directlySentBytes = (socket: Socket): number => beside.get(socket) ?? 0;

/** What Node has of a connection: its descriptor is not in the documented interface, so it may be missing. */
interface Handle {
  readonly fd?: unknown;
}

function descriptorOf(socket: Socket | null): number | undefined {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || socket.destroyed) return undefined;
  const handle = (socket as Socket & { readonly _handle?: Handle | null })._handle;
  const fd = handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

export interface DirectSend {
  readonly fd: number;
  readonly range: ByteRange;
  readonly stall: Stall;
  readonly signal: AbortSignal;
}

/**
 * Whether a file can go to the reader of a response without coming to JavaScript: over plain HTTP on Linux, when no other
 * answer is before it on the connection.
 */
export const canSendDirectly = ({ socket }: ServerResponse): boolean =>
  systemCalls() !== undefined && descriptorOf(socket) !== undefined;

/**
 * Sends a range of a file as the body of a response whose head is written, by the kernel alone. The caller keeps the file open
 * until it has settled.
 *
 * @throws what `signal` or `stall` aborted with; SysError: the reader went away
 */
export async function sendDirectly(response: ServerResponse, send: DirectSend): Promise<void> {
  const system = systemCalls();
  const { socket } = response;
  const { range, stall, signal } = send;
  if (system === undefined || socket === null) throw new Error('this response has no socket of its own');
  await flushHead(response, socket);
  signal.throwIfAborted();
  const socketFd = descriptorOf(socket);
  if (socketFd === undefined) throw new Error('the connection was closed');
  // One that Node can't close while a thread writes to it: its number would be another connection's then.
  const fd = system.fcntl(socketFd, system.F_DUPFD_CLOEXEC, 0);
  const cut = (): void => {
    try {
      system.shutdown(fd, system.SHUT_RDWR);
    } catch (error) {
      // The reader was faster.
      if (errnoOf(error) !== 'ENOTCONN') throw error;
    }
  };
  const cuts = [signal, stall.signal];
  try {
    for (const each of cuts) each.addEventListener('abort', cut, { once: true });
    const before = directlySentBytes(socket);
    let seen = 0;
    const count = range.last - range.first + 1;
    const onProgress = (sentBytes: number): void => {
      beside.set(socket, before + sentBytes);
      stall.touch(sentBytes - seen);
      seen = sentBytes;
    };
    await system.sendFileInThread(fd, send.fd, { offset: range.first, count, onProgress });
    beside.set(socket, before + count);
  } catch (error) {
    // Nothing can follow half a body. When this throws, everybody can see that the connection is gone.
    response.destroy();
    if (!response.closed) await once(response, 'close');
    signal.throwIfAborted();
    stall.signal.throwIfAborted();
    throw error;
  } finally {
    for (const each of cuts) each.removeEventListener('abort', cut);
    closeSync(fd);
  }
  await new Promise<void>((resolve) => {
    response.end(resolve);
  });
}

/** Until the kernel has the head, nothing may follow it. */
async function flushHead(response: ServerResponse, socket: Socket): Promise<void> {
  response.flushHeaders();
  if (socket.writableLength === 0) return;
  await new Promise<void>((resolve, reject) => {
    socket.write('', (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
