import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';

import {
  FrameDecoder,
  P_PIDFD,
  WEXITED,
  __WALL,
  encodeFrame,
  hasCode,
  pidfd_send_signal,
  spawnInit,
  waitid,
} from '../src/index.ts';
import type { InitProcess, KeepSettings, MonitorFrame, Operation, WaitResult } from '../src/index.ts';

export const CLD_EXITED = 1;
export const CLD_KILLED = 2;

export interface InitRunOptions {
  /** The descriptors of slots 0, 1, … */
  readonly fds?: readonly number[];
  readonly keep?: KeepSettings;
  readonly cloneFlags?: number;
  /** Between clone and exec. */
  readonly operations?: readonly Operation[];
  readonly env?: readonly string[];
  readonly stdio?: readonly [number, number, number];
}

/** One connection to a monitor: collects what it says. */
export class MonitorClient implements AsyncDisposable {
  readonly frames: MonitorFrame[] = [];
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #decoder = new FrameDecoder();
  #changed: PromiseWithResolvers<undefined> = Promise.withResolvers();

  constructor(socket: Socket) {
    this.socket = socket;
    const closed = Promise.withResolvers<undefined>();
    this.closed = closed.promise;
    socket.on('close', () => closed.resolve(undefined));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#wake());
    socket.on('data', (piece: Buffer) => {
      this.frames.push(...this.#decoder.decode(piece));
      this.#wake();
    });
  }

  static async connect(path: string): Promise<MonitorClient> {
    const socket = new Socket();
    socket.connect(path);
    await once(socket, 'connect');
    return new MonitorClient(socket);
  }

  #wake(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
  }

  /** Waits until the frames are as wanted; throws when the connection ends before. */
  async until(wanted: () => boolean): Promise<void> {
    while (!wanted()) {
      if (this.socket.destroyed) throw new Error(`the monitor has gone after ${JSON.stringify(this.frames)}`);
      await this.#changed.promise;
    }
  }

  /** Waits for the next piece or the end. */
  async changed(): Promise<void> {
    if (!this.socket.destroyed) await this.#changed.promise;
  }

  untilOutput(text: string): Promise<void> {
    return this.until(() => this.output().includes(text));
  }

  output(stream: 'stdout' | 'stderr' = 'stdout'): string {
    return this.bytes(stream).toString();
  }

  bytes(stream: 'stdout' | 'stderr' = 'stdout'): Buffer {
    return Buffer.concat(this.frames.flatMap((frame) => (frame.type === stream ? [frame.data] : [])));
  }

  frame<T extends MonitorFrame['type']>(type: T): Extract<MonitorFrame, { type: T }> | undefined {
    return this.frames.find((frame): frame is Extract<MonitorFrame, { type: T }> => frame.type === type);
  }

  send(type: Parameters<typeof encodeFrame>[0], data: Uint8Array | string = ''): void {
    this.socket.write(encodeFrame(type, Buffer.from(data)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** A tsc-init that this test started, with its control connection. */
export class InitRun extends MonitorClient {
  readonly init: InitProcess;
  #ended: WaitResult | undefined;

  constructor(init: InitProcess) {
    super(new Socket({ fd: init.controlFd, readable: true, writable: true }));
    this.init = init;
  }

  /** Runs `command`, kept as asked. */
  static start(command: readonly string[], options: InitRunOptions = {}): InitRun {
    const { fds = [], keep, cloneFlags = 0, operations = [], env = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] } = options;
    const program = {
      inherited: fds.length,
      operations: [
        { op: 'keep', attached: true, ...keep },
        { op: 'clone', flags: cloneFlags },
        ...operations,
        { op: 'exec', candidates: command.slice(0, 1), argv: command, envp: env, dieWithMonitor: true },
      ] as const,
    };
    return new InitRun(spawnInit({ program, fds, stdio: options.stdio }));
  }

  static shell(script: string, options: InitRunOptions = {}): InitRun {
    return InitRun.start(['/bin/sh', '-c', script], options);
  }

  async started(): Promise<number> {
    await this.until(() => this.frame('started') !== undefined);
    return this.frame('started')?.hostPid ?? 0;
  }

  /** How tsc-init itself ended. */
  async ended(): Promise<WaitResult | undefined> {
    await this.closed;
    this.#ended ??= waitid(P_PIDFD, this.init.pidfd, WEXITED | __WALL);
    return this.#ended;
  }

  /** Waits for the whole run; the process's exit code, or 128 and its signal. */
  async exitCode(): Promise<number | undefined> {
    await this.ended();
    return this.frame('exit')?.exitCode;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) {
      pidfd_send_signal(this.init.pidfd, 9);
      this.socket.destroy();
      await this.ended();
    }
    closeSync(this.init.pidfd);
  }
}

/** tsc-init keeps its executable and a null device open for the next start: call before descriptors are counted. */
export async function warmUp(): Promise<void> {
  await using run = InitRun.start(['/bin/true']);
  await run.ended();
}

/** The memory that a process has for itself alone. */
export function privateBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = [...rollup.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].map(([, value]) => Number(value));
  return kilobytes.reduce((sum, value) => sum + value, 0) * 1024;
}

export const isRunning = (pid: number): boolean => {
  try {
    const fd = openSync(`/proc/${pid}/stat`, 'r');
    const stat = readFileSync(fd, 'utf8');
    closeSync(fd);
    return !/\) [ZX] /.test(stat);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return false;
    throw error;
  }
};
