import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Layer } from '@tsc/image';
import { connectMonitor, isRuntimeError, parseSignal } from '@tsc/runtime';
import type { KeptProcess, MonitorConnection, StartReport } from '@tsc/runtime';

import type {
  Attachment,
  CallOptions,
  CommitOptions,
  Container,
  ExecSpec,
  LogEntry,
  LogsOptions,
  PathStat,
  RunningContainer,
  StartOptions,
} from './api.ts';
import { statBelow, unpackBelow } from './archive.ts';
import { attachmentOf } from './attachment.ts';
import { discard } from './cleaning.ts';
import { commitRunning, commitStopped } from './commit.ts';
import { followToEnd, settleContainer } from './container-end.ts';
import { execIn } from './container-exec.ts';
import { openFiles, readAll, readPath } from './container-files.ts';
import { holdContainer, lockContainer, noSuchContainer } from './container-hold.ts';
import { releaseName, takeName } from './container-name.ts';
import type { ContainerRecord } from './container-record.ts';
import { readContainerRecord, updateState, writeContainerRecord } from './container-record.ts';
import type { Context } from './context.ts';
import { EngineError, isEngineError } from './errors.ts';
import type { ContainerInspect } from './inspect.ts';
import { exitCodeSeen, inspectContainer } from './inspection.ts';
import { containerPaths } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import { tryLock } from './lock.ts';
import { readLogs } from './logs.ts';
import { notRunning } from './running-process.ts';
import { startRecorded } from './starting.ts';
import { observe } from './status.ts';
import type { Observation } from './status.ts';
import { changesOf } from './upper-layer.ts';
import { abortable, endsWithin } from './waiting.ts';

const DEFAULT_STOP_TIMEOUT_MS = 10_000;
const SIGKILL = 'SIGKILL';

/** A container by its id. Holds no state of its own: every call looks at the files and locks as they are now. */
export class EngineContainer implements Container {
  readonly id: string;
  readonly #context: Context;
  readonly #paths: ContainerPaths;

  constructor(context: Context, id: string) {
    this.id = id;
    this.#context = context;
    this.#paths = containerPaths(context.layout, id);
  }

  get name(): string {
    return this.#record().name;
  }

  #record(): ContainerRecord {
    const record = readContainerRecord(this.#paths);
    if (record === undefined) throw noSuchContainer(this.id);
    return record;
  }

  #observe(): Observation {
    return observe(this.#paths, this.#record());
  }

  inspect(): ContainerInspect {
    const record = this.#record();
    return inspectContainer(record, this.#paths, observe(this.#paths, record));
  }

  async start(options: StartOptions = {}): Promise<RunningContainer> {
    options.signal?.throwIfAborted();
    using held = await holdContainer(this.#context, this.id, options.signal);
    if (observe(this.#paths, held.record).status === 'running') return await this.#alreadyRunning(options);
    const state = { ...held.record.state, restartCount: 0 };
    return await this.startHeld({ ...held.record, state }, options);
  }

  async #alreadyRunning(options: StartOptions): Promise<RunningContainer> {
    const attachment = options.attach === true ? await this.attach(options) : undefined;
    return { container: this, attachment, wait: (waiting) => this.wait(waiting) };
  }

  /** Starts a container that doesn't run; the caller holds its lock and has its record. */
  async startHeld(record: ContainerRecord, options: StartOptions): Promise<RunningContainer> {
    const started = await startRecorded(this.#context, this.#paths, { record, options });
    return this.#running(started.record, started.kept, options);
  }

  /** Stays by the container while this engine lives, and cleans up after it, which is quicker than the cleanup command. */
  #running(record: ContainerRecord, kept: KeptProcess, options: StartOptions): RunningContainer {
    const { connection } = kept;
    const ended = followToEnd(this.#context, this.id, connection);
    this.#context.followed.add(connection, ended);
    const attached = options.attach === true;
    if (!attached) connection.unref();
    const attachment = attached
      ? attachmentOf({
          connection,
          hostPid: kept.hostPid,
          tty: record.spec.tty ?? false,
          openStdin: record.spec.openStdin ?? false,
          exitCode: ended,
        })
      : undefined;
    return {
      container: this,
      attachment,
      wait: async (waiting) => {
        connection.ref();
        return this.#endOfFollowed(ended, waiting);
      },
    };
  }

  async #endOfFollowed(ended: Promise<number>, options: CallOptions = {}): Promise<number> {
    try {
      return await abortable(ended, options.signal);
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== 'RUNTIME_NO_MONITOR') throw error;
      return this.wait(options); // its streams were left, or the engine closed
    }
  }

  #connectIfRunning(): MonitorConnection | undefined {
    const record = readContainerRecord(this.#paths);
    if (record === undefined || observe(this.#paths, record).status !== 'running') return undefined;
    try {
      return connectMonitor(this.#paths.socket);
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== 'RUNTIME_NO_MONITOR') throw error;
      return undefined;
    }
  }

  #connect(): MonitorConnection {
    this.#record();
    const connection = this.#connectIfRunning();
    if (connection === undefined) throw notRunning(this.id);
    return connection;
  }

  /** Marks the container as stopped on purpose, so that its restart policy leaves it alone. */
  async #refuseRestarts(signal?: AbortSignal): Promise<void> {
    const { spec } = this.#record();
    if ((spec.restart ?? { name: 'no' }).name === 'no') return;
    using held = await lockContainer(this.#context.layout, this.id, signal);
    updateState(this.#paths, held.record, { stopRequested: true, restarting: false });
  }

  async stop(options: StopOptions = {}): Promise<void> {
    await this.#refuseRestarts(options.signal);
    // Again when it was only being started, or when its monitor had no connection to spare.
    while (!(await this.#stopOnce(options))) await sleep(WAIT_POLL_MS, undefined, { signal: options.signal });
  }

  /** @returns whether it is over */
  async #stopOnce({ timeoutMs, stopSignal, signal }: StopOptions): Promise<boolean> {
    using connection = this.#connectIfRunning();
    const record = readContainerRecord(this.#paths);
    if (connection !== undefined && record !== undefined) {
      const patienceMs = timeoutMs ?? record.spec.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS;
      connection.signal(parseSignal(stopSignal ?? record.process.stopSignal));
      if (!(await endsWithin(connection, patienceMs, signal))) connection.signal(parseSignal(SIGKILL));
      await abortable(connection.closed, signal);
    }
    const { running } = await settleContainer(this.#context, this.id, signal);
    return !running;
  }

  async kill(signalName: string = SIGKILL): Promise<void> {
    const signalNumber = parseSignal(signalName);
    using connection = this.#connect();
    if (signalNumber === parseSignal(SIGKILL)) await this.#refuseRestarts();
    connection.signal(signalNumber);
    // What was written is on its way; a KILL is also seen to its end, so that the next command finds it done.
    if (signalNumber === parseSignal(SIGKILL)) {
      await connection.closed;
      await settleContainer(this.#context, this.id);
    } else await flushed(connection);
  }

  async restart(options: Parameters<Container['restart']>[0] = {}): Promise<void> {
    await this.stop(options);
    await this.start({ signal: options.signal });
  }

  async remove(options: Parameters<Container['remove']>[0] = {}): Promise<void> {
    // Again when it was started between the look and the lock.
    while (!(await this.#removeIfStopped(options)));
  }

  async #removeIfStopped({ force = false, volumes = false, signal }: RemoveOptions): Promise<boolean> {
    const { status } = this.#observe();
    if (status === 'running' || status === 'restarting') {
      if (!force) {
        throw new EngineError(
          'ENGINE_CONTAINER_RUNNING',
          `cannot remove container "/${this.name}": container is ${status}: stop the container before removing or force remove`,
          { containerId: this.id },
        );
      }
      await this.#endNow(signal);
    }
    try {
      using held = await holdContainer(this.#context, this.id, signal);
      if (observe(this.#paths, held.record).status === 'running') return false;
      await discard(this.#context, held.record, { volumes: volumes || held.record.spec.autoRemove === true });
    } catch (error) {
      if (!isEngineError(error) || error.code !== 'ENGINE_NO_SUCH_CONTAINER') throw error; // it was --rm
    }
    return true;
  }

  async #endNow(signal: AbortSignal | undefined): Promise<void> {
    await this.stop({ timeoutMs: 0, stopSignal: SIGKILL, signal });
  }

  rename(name: string): void {
    using held = tryLock(this.#paths.dir);
    const record = this.#record();
    if (held === undefined) {
      throw new EngineError('ENGINE_LOCKED', `container ${this.id} is being changed by another command: try again`, {
        containerId: this.id,
      });
    }
    takeName(this.#context.layout, name, this.id);
    writeContainerRecord(this.#paths, { ...record, name });
    releaseName(this.#context.layout, record.name, this.id);
  }

  async wait({ signal, condition = 'not-running' }: Parameters<Container['wait']>[0] = {}): Promise<number> {
    let exitCode = 0;
    for (;;) {
      const record = readContainerRecord(this.#paths);
      if (record === undefined) return exitCode;
      const seen = observe(this.#paths, record);
      const last = seen.status === 'running' ? await this.#waitForMonitor(signal) : endOf(record, seen);
      exitCode = last ?? exitCode;
      if (last !== undefined && condition === 'not-running') return exitCode;
      if (seen.needsCleanup) await settleContainer(this.#context, this.id, signal);
      await sleep(WAIT_POLL_MS, undefined, { signal });
    }
  }

  async #waitForMonitor(signal: AbortSignal | undefined): Promise<number | undefined> {
    try {
      using connection = this.#connectIfRunning();
      if (connection === undefined) return undefined;
      const { exitCode } = await abortable(connection.exit, signal);
      await abortable(connection.closed, signal);
      return exitCode;
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== 'RUNTIME_NO_MONITOR') throw error;
      return undefined;
    }
  }

  async attach(options: CallOptions = {}): Promise<Attachment> {
    options.signal?.throwIfAborted();
    const record = this.#record();
    const connection = this.#connect();
    const report = await this.#startedOf(connection, options.signal);
    connection.attach();
    return attachmentOf({
      connection,
      hostPid: report.type === 'started' ? report.hostPid : 0,
      tty: record.spec.tty ?? false,
      openStdin: record.spec.openStdin ?? false,
      exitCode: connection.exit.then(async ({ exitCode }) => {
        await connection.closed;
        return exitCode;
      }),
    });
  }

  async #startedOf(connection: MonitorConnection, signal: AbortSignal | undefined): Promise<StartReport> {
    try {
      return await abortable(connection.started, signal);
    } catch (error) {
      connection.close();
      throw isRuntimeError(error) ? notRunning(this.id) : error;
    }
  }

  logs(options: LogsOptions = {}): AsyncIterable<LogEntry> {
    this.#record();
    return readLogs(this.#paths.log, {
      ...options,
      hasEnded: () => {
        const record = readContainerRecord(this.#paths);
        if (record === undefined) return true;
        const { status, starting } = observe(this.#paths, record);
        return !(starting || status === 'running' || status === 'restarting');
      },
    });
  }

  async exec(spec: ExecSpec, options: StartOptions = {}): Promise<Attachment> {
    options.signal?.throwIfAborted();
    const record = this.#record();
    const { status, hostPid } = observe(this.#paths, record);
    if (status !== 'running') throw notRunning(this.id);
    return execIn({ context: this.#context, paths: this.#paths, record, hostPid }, spec, options);
  }

  async changes({ signal }: CallOptions = {}): Promise<Layer | undefined> {
    signal?.throwIfAborted();
    using held = await holdContainer(this.#context, this.id, signal);
    if (observe(this.#paths, held.record).status === 'running') {
      throw new EngineError('ENGINE_CONTAINER_RUNNING', `container ${this.id} is running: its files still change`, {
        containerId: this.id,
      });
    }
    return await changesOf(this.#paths, held.record, signal);
  }

  async commit(options: CommitOptions = {}): Promise<string> {
    options.signal?.throwIfAborted();
    using held = await holdContainer(this.#context, this.id, options.signal);
    const parts = { context: this.#context, paths: this.#paths, record: held.record };
    if (observe(this.#paths, held.record).status !== 'running') return await commitStopped(parts, options);
    held[Symbol.dispose](); // what runs must be free to end meanwhile
    return await commitRunning(parts, options);
  }

  async statPath(path: string): Promise<PathStat | undefined> {
    using files = await openFiles(this.#context, this.id);
    return statBelow(files.fd, path);
  }

  readArchive(path: string, { signal }: CallOptions = {}): ReturnType<Container['readArchive']> {
    return readPath(openFiles(this.#context, this.id, signal), path);
  }

  exportArchive({ signal }: CallOptions = {}): Promise<Readable> {
    return readAll(openFiles(this.#context, this.id, signal));
  }

  async writeArchive(
    directory: string,
    archive: Readable,
    { copyUidGid = true, signal }: Parameters<Container['writeArchive']>[2] = {},
  ): Promise<void> {
    using files = await openFiles(this.#context, this.id, signal);
    await unpackBelow(archive, { rootFd: files.fd, directory, asRoot: !copyUidGid, signal });
  }
}

/** How a container ended; `undefined` while it is about to run. */
const endOf = (record: ContainerRecord, seen: Observation): number | undefined =>
  seen.starting || seen.status === 'restarting' ? undefined : exitCodeSeen(record, seen);

type StopOptions = NonNullable<Parameters<Container['stop']>[0]>;
type RemoveOptions = NonNullable<Parameters<Container['remove']>[0]>;

const WAIT_POLL_MS = 50;

/** Resolves when the monitor has read what was sent: it answers nothing, so an ordinary turn of the loop has to do. */
const flushed = (_connection: MonitorConnection): Promise<void> => sleep(1);
