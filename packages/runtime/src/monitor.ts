import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  AF_UNIX,
  FRAME_MAX_BYTES,
  FrameDecoder,
  P_PIDFD,
  SOCK_STREAM,
  WEXITED,
  WNOHANG,
  __WALL,
  connect,
  encodeFrame,
  encodeResize,
  encodeSignal,
  fcntl,
  hasCode,
  sockaddr_un,
  socket,
  waitid,
} from '@tsc/sys';
import type { MonitorFrame } from '@tsc/sys';

import { RuntimeError } from './errors.ts';

export interface ExitStatus {
  /** The process's own, or 128 and the number of the signal that ended it. */
  readonly exitCode: number;
  readonly signal: number | undefined;
}

/** How the start went: the first thing that a monitor tells. */
export type StartReport = Extract<MonitorFrame, { type: 'started' | 'failed' }>;

/** A promise that nobody needs to await: its rejection is seen by those who do. */
function deferred<T>(): PromiseWithResolvers<T> {
  const made = Promise.withResolvers<T>();
  made.promise.catch(() => undefined);
  return made;
}

/**
 * A connection to the monitor of a container's first process or of an exec. Its streams carry the process's own; closing
 * it doesn't end the process. While nobody reads `stdout` or `stderr` of an attached connection, the process waits.
 */
export class MonitorConnection implements Disposable {
  /** Started, or failed with the index of an operation. Rejects if the monitor dies first. */
  readonly started: Promise<StartReport>;
  /** How the process ended; all of its output has been handed to the streams by then. Rejects if the connection ends first. */
  readonly exit: Promise<ExitStatus>;
  /** The end of the connection, whoever made it: when the monitor does, it has nothing more to do. */
  readonly closed: Promise<void>;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly #socket: Socket;
  /** What is written goes its own way: a write that comes too late must not take along what is still to be read. */
  readonly #writer: Socket;
  readonly #started: PromiseWithResolvers<StartReport> = deferred();
  readonly #exit: PromiseWithResolvers<ExitStatus> = deferred();
  readonly #decoder = new FrameDecoder();

  /** `writer` is another descriptor of the same connection. */
  constructor(socket: Socket, writer: Socket) {
    this.#socket = socket;
    this.#writer = writer;
    writer.on('error', () => undefined); // the other end has gone, which the reading side sees
    this.started = this.#started.promise;
    this.exit = this.#exit.promise;
    const resume = (): void => void socket.resume();
    this.stdout = new Readable({ read: resume });
    this.stderr = new Readable({ read: resume });
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done): void => {
        this.#writeStdin(chunk, done);
      },
      final: (done): void => {
        this.#send(encodeFrame('stdinEof'), () => {
          done();
        });
      },
    });
    const { promise, resolve } = deferred<undefined>();
    this.closed = promise;
    socket.on('data', (piece: Buffer) => {
      this.#receive(piece);
    });
    socket.on('error', () => undefined); // a connection that breaks has ended: 'close' follows
    socket.on('close', () => {
      writer.destroy();
      this.#end();
      resolve(undefined);
    });
  }

  /** Lets Node end although the connection is open. */
  unref(): void {
    this.#socket.unref();
    this.#writer.unref();
  }

  ref(): void {
    this.#socket.ref();
    this.#writer.ref();
  }

  /** Asks for the output from now on, on a connection that didn't start the process. */
  attach(): void {
    this.#send(encodeFrame('attach'));
  }

  resize(size: { readonly rows: number; readonly columns: number }): void {
    this.#send(encodeResize(size));
  }

  /** Sends a signal through the monitor, which holds the process's pidfd: it can't hit another process. */
  signal(signalNumber: number): void {
    this.#send(encodeSignal(signalNumber));
  }

  /** Tells the monitor that its cleanup command need not run. */
  cleaned(): void {
    this.#send(encodeFrame('cleaned'));
  }

  close(): void {
    this.#writer.destroy();
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(frame: Buffer, done?: () => void): void {
    if (this.#writer.writable) this.#writer.write(frame, () => done?.());
    else done?.();
  }

  #writeStdin(chunk: Buffer, done: () => void): void {
    for (let at = 0; at < chunk.length; at += FRAME_MAX_BYTES) {
      const last = at + FRAME_MAX_BYTES >= chunk.length;
      this.#send(encodeFrame('stdin', chunk.subarray(at, at + FRAME_MAX_BYTES)), last ? done : undefined);
    }
    if (chunk.length === 0) done();
  }

  #receive(piece: Buffer): void {
    for (const frame of this.#decoder.decode(piece)) this.#take(frame);
  }

  #take(frame: MonitorFrame): void {
    switch (frame.type) {
      case 'started':
      case 'failed':
        this.#started.resolve(frame);
        break;
      case 'stdout':
        if (!this.stdout.push(frame.data)) this.#socket.pause();
        break;
      case 'stderr':
        if (!this.stderr.push(frame.data)) this.#socket.pause();
        break;
      case 'exit':
        this.#endStreams();
        this.#exit.resolve({ exitCode: frame.exitCode, signal: frame.signal });
        break;
    }
  }

  #endStreams(): void {
    if (!this.stdout.readableEnded) this.stdout.push(null);
    if (!this.stderr.readableEnded) this.stderr.push(null);
    this.stdin.destroy();
  }

  #end(): void {
    this.#endStreams();
    const gone = new RuntimeError('RUNTIME_NO_MONITOR', 'the connection to the monitor ended before the process did');
    this.#started.reject(gone);
    this.#exit.reject(gone);
  }
}

const F_DUPFD_CLOEXEC = 1030;

/** Takes over a connection as a descriptor. */
export function connectionFrom(fd: number): MonitorConnection {
  const writer = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return new MonitorConnection(
    new Socket({ fd, readable: true, writable: false }),
    new Socket({ fd: writer, readable: false, writable: true }),
  );
}

/**
 * Connects to a running monitor by the path of its socket.
 *
 * @throws RuntimeError `RUNTIME_NO_MONITOR`: nobody listens there
 */
export function connectMonitor(path: string): MonitorConnection {
  try {
    // By way of its directory's descriptor: a socket's own path may have 107 bytes.
    const dir = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return connectionFrom(connected(`/proc/self/fd/${dir}/${basename(path)}`));
    } finally {
      closeSync(dir);
    }
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT', 'ECONNREFUSED')) throw cause;
    throw new RuntimeError('RUNTIME_NO_MONITOR', `no monitor listens on ${path}`, { path, cause });
  }
}

function connected(path: string): number {
  const fd = socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    connect(fd, sockaddr_un(path));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const FIRST_REAP_POLL_MS = 1;
const LAST_REAP_POLL_MS = 1000;

/**
 * Reaps a monitor after its connection has closed, and closes its pidfd. One that ends is soon gone. One that was only
 * left lives as long as its container: that keeps neither Node (`ref: false`) nor its event loop busy.
 */
export async function reapMonitor(
  monitor: { readonly pidfd: number },
  { ref }: { readonly ref: boolean },
): Promise<void> {
  let pauseMs = FIRST_REAP_POLL_MS;
  while (waitid(P_PIDFD, monitor.pidfd, WEXITED | WNOHANG | __WALL) === undefined) {
    await sleep(pauseMs, undefined, { ref });
    pauseMs = Math.min(pauseMs * 2, LAST_REAP_POLL_MS);
  }
  closeSync(monitor.pidfd);
}
