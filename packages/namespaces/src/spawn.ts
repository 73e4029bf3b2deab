import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

import { FrameDecoder, P_PIDFD, WEXITED, __WALL, encodeSignal, spawnInit, waitid } from '@tsc/sys';
import type { InitProcess, MonitorFrame, Operation, StartProgram } from '@tsc/sys';

import { NamespaceError, codeOfErrno } from './errors.ts';
import { planSpawn } from './spawn-plan.ts';
import type { NamespacedCommand } from './spawn-plan.ts';

export interface SpawnInNamespacesOptions extends NamespacedCommand {
  /** This process's own streams, the null device, or three descriptors, which stay the caller's. Default: `'inherit'` */
  readonly stdio?: 'inherit' | 'ignore' | readonly [stdin: number, stdout: number, stderr: number] | undefined;
  /** Ends the process with SIGKILL if it is aborted while the process starts or runs. */
  readonly signal?: AbortSignal | undefined;
}

export interface ProcessExit {
  /** The process's own, or 128 and the number of the signal that ended it. */
  readonly exitCode: number;
  /** The number of the signal that ended it. */
  readonly signal: number | undefined;
}

export interface NamespacedProcess {
  /** Its pid as this process sees it. */
  readonly hostPid: number;
  /** Its end. Keeps Node running until then. */
  readonly exit: Promise<ProcessExit>;
  /** Sends a signal, SIGTERM unless given. One that comes after the end is no error, and hits nobody else. */
  readonly kill: (signal?: NodeJS.Signals | number) => void;
}

/**
 * Starts a process inside a set of new and existing namespaces, by way of a small monitor (tsc-init), which waits for it
 * and goes with it. It is the first process (pid 1) of a new pid namespace.
 *
 * Equivalent to `unshare` and `nsenter` in one. It leads a session of its own: Ctrl-C at the terminal does not reach it,
 * `kill` does. It outlives this process, but not its monitor.
 *
 * @returns when the command runs, not before: a command that can't be run is an error
 * @throws TypeError a request that means nothing: two namespaces of one type, a hostname for the host's uts namespace
 * @throws {@link NamespaceError} `NAMESPACE_COMMAND_NOT_FOUND`, `NAMESPACE_COMMAND_NOT_EXECUTABLE`
 * @throws {@link NamespaceError} `NAMESPACE_NOT_PERMITTED`: no privilege for one of the namespaces
 * @throws {@link NamespaceError} `NAMESPACE_NOT_FOUND`: `cwd` is not there
 * @throws {@link NamespaceError} `NAMESPACE_REFUSED`: anything else the kernel objects to; the message names the step
 * @remarks Privilege: CAP_SYS_ADMIN, except for a new user namespace with the caller's own ids and what is made in it.
 * @see https://man7.org/linux/man-pages/man7/namespaces.7.html
 * @example const { exit } = await spawnInNamespaces({ create: ['user', 'uts'], hostname: 'inside', command: 'hostname' });
 */
export async function spawnInNamespaces(options: SpawnInNamespacesOptions): Promise<NamespacedProcess> {
  const { signal, join = [], stdio = 'inherit' } = options;
  signal?.throwIfAborted();
  const program = planSpawn(options, { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });
  const init = start(program, { fds: join.map(({ fd }) => fd), stdio });
  const connection = new Connection(init);
  const abort = (): void => {
    connection.kill(constants.signals.SIGKILL);
  };
  signal?.addEventListener('abort', abort, { once: true });
  void connection.closed.then(() => {
    signal?.removeEventListener('abort', abort);
  });
  const report = await connection.started;
  if (report.type === 'failed') {
    await connection.closed;
    throw startFailure(program, report);
  }
  return {
    hostPid: report.hostPid,
    exit: connection.exit,
    kill: (wanted = 'SIGTERM') => {
      connection.kill(typeof wanted === 'number' ? wanted : constants.signals[wanted]);
    },
  };
}

interface Streams {
  readonly fds: readonly number[];
  readonly stdio: NonNullable<SpawnInNamespacesOptions['stdio']>;
}

function start(program: StartProgram, { fds, stdio }: Streams): InitProcess {
  using undo = new DisposableStack();
  const none = (): number => undo.adopt(openSync('/dev/null', 'r+'), closeSync);
  const streams = stdio === 'inherit' ? ([0, 1, 2] as const) : stdio === 'ignore' ? nullStreams(none()) : stdio;
  return spawnInit({ program, fds, stdio: [...streams], label: 'namespaces' });
}

const nullStreams = (fd: number): [number, number, number] => [fd, fd, fd];

type StartReport = Extract<MonitorFrame, { type: 'started' | 'failed' }>;

/** Our end of the monitor's socket. */
class Connection {
  readonly started: Promise<StartReport>;
  readonly exit: Promise<ProcessExit>;
  /** The monitor has ended and been reaped. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #started: PromiseWithResolvers<StartReport> = Promise.withResolvers();
  readonly #exit: PromiseWithResolvers<ProcessExit> = Promise.withResolvers();

  constructor(init: InitProcess) {
    this.started = this.#started.promise;
    this.exit = this.#exit.promise;
    this.exit.catch(() => undefined); // whoever awaits it sees the rejection
    this.#socket = new Socket({ fd: init.controlFd, readable: true, writable: true });
    const decoder = new FrameDecoder();
    this.#socket.on('data', (piece: Buffer) => {
      for (const frame of decoder.decode(piece)) this.#take(frame);
    });
    this.#socket.on('error', () => undefined); // 'close' follows
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.closed = promise;
    this.#socket.on('close', () => {
      waitid(P_PIDFD, init.pidfd, WEXITED | __WALL);
      closeSync(init.pidfd);
      const gone = new NamespaceError('NAMESPACE_REFUSED', 'the monitor was killed, and the process with it');
      this.#started.reject(gone);
      this.#exit.reject(gone);
      resolve(undefined);
    });
  }

  kill(signal: number): void {
    if (this.#socket.writable) this.#socket.write(encodeSignal(signal));
  }

  #take(frame: MonitorFrame): void {
    if (frame.type === 'started' || frame.type === 'failed') this.#started.resolve(frame);
    if (frame.type === 'exit') this.#exit.resolve({ exitCode: frame.exitCode, signal: frame.signal });
  }
}

const errnoNames = getSystemErrorMap();

/** From "operation 3 failed with errno 1" to what a person can act on. */
function startFailure(
  program: StartProgram,
  { index, errno }: Extract<StartReport, { type: 'failed' }>,
): NamespaceError {
  const operation = program.operations[index];
  const [name, meaning] = errnoNames.get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const cause = Object.assign(new Error(`${name}: ${meaning}`), { code: name });
  if (operation?.op === 'exec') return execFailure(operation, cause);
  const what = operation === undefined ? 'carry out the start program' : describe(operation);
  return new NamespaceError(codeOfErrno(name), `cannot ${what}: ${name}: ${meaning}`, { cause });
}

function execFailure(operation: Extract<Operation, { op: 'exec' }>, cause: Error & { code: string }): NamespaceError {
  const [command = ''] = operation.argv;
  const message = `cannot execute ${command}: ${cause.message}`;
  switch (cause.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new NamespaceError('NAMESPACE_COMMAND_NOT_FOUND', message, { path: command, cause });
    case 'EACCES':
    case 'EISDIR':
    case 'ENOEXEC':
      return new NamespaceError('NAMESPACE_COMMAND_NOT_EXECUTABLE', message, { path: command, cause });
    default:
      return new NamespaceError('NAMESPACE_REFUSED', message, { path: command, cause });
  }
}

function describe(operation: Operation): string {
  switch (operation.op) {
    case 'clone':
    case 'unshare':
      return 'make the namespaces';
    case 'setns':
      return 'join a namespace';
    case 'writeFile':
      return `write ${JSON.stringify(operation.data)} to ${operation.path}`;
    case 'chdir':
      return `change to directory ${operation.path}`;
    case 'mount':
      return `mount ${operation.target}`;
    default:
      return operation.op;
  }
}
