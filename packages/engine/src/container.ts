import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Layer } from '@tsc/image';
import { connectMonitor, isRuntimeError, parseSignal } from '@tsc/runtime';
import type { KeptProcess, MonitorConnection } from '@tsc/runtime';

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
import { packBelow, packRoot, statBelow, unpackBelow } from './archive.ts';
import { attachmentOf } from './attachment.ts';
import { cleanUp, discard } from './cleaning.ts';
import { commitRunning, commitStopped } from './commit.ts';
import { execIn, openRunningRoot } from './container-exec.ts';
import { releaseName, takeName } from './container-name.ts';
import type { ContainerRecord } from './container-record.ts';
import { readContainerRecord, updateState, writeContainerRecord } from './container-record.ts';
import { mountRoot } from './container-root.ts';
import type { Context } from './context.ts';
import { EngineError } from './errors.ts';
import type { ContainerInspect } from './inspect.ts';
import { inspectContainer } from './inspection.ts';
import { containerPaths } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import { lockDirectory } from './lock.ts';
import { readLogs } from './logs.ts';
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
    if (record === undefined) throw new EngineError('ENGINE_NO_SUCH_CONTAINER', `no such container: ${this.id}`);
    return record;
  }

  #observe(): Observation {
    return observe(this.#paths, this.#record());
  }

  inspect(): ContainerInspect {
    const record = this.#record();
    return inspectContainer(record, this.#paths, observe(this.#paths, record));
  }

  /** What the container has left behind if its engine was killed before it could clean up. The lock is held. */
  async #settle(): Promise<ContainerRecord> {
    const record = this.#record();
    return observe(this.#paths, record).needsCleanup ? cleanUp(this.#context, this.#paths, record) : record;
  }

  async start(options: StartOptions = {}): Promise<RunningContainer> {
    options.signal?.throwIfAborted();
    using _held = await lockDirectory(this.#paths.dir, { signal: options.signal });
    const record = await this.#settle();
    const { status } = observe(this.#paths, record);
    if (status === 'running') {
      return { container: this, attachment: undefined, wait: (waiting) => this.wait(waiting) };
    }
    return await this.startHeld(record, options);
  }

  /** Starts a container that doesn't run; the caller holds its lock and has its record. */
  async startHeld(record: ContainerRecord, options: StartOptions): Promise<RunningContainer> {
    const started = await startRecorded(this.#context, this.#paths, { record, options });
    return this.#running(started.record, started.kept, options);
  }

  /** Stays by the container while this engine lives, and cleans up after it, which is quicker than the cleanup command. */
  #running(record: ContainerRecord, kept: KeptProcess, options: StartOptions): RunningContainer {
    const { connection } = kept;
    const ended = this.#followToEnd(connection);
    ended.catch(() => undefined);
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
        return abortable(ended, waiting?.signal);
      },
    };
  }

  async #followToEnd(connection: MonitorConnection): Promise<number> {
    const exit = await connection.exit;
    const restarting = await this.#cleanUpAfterEnd();
    // A restart is the cleanup command's: it may be due in a minute, when this engine is long closed.
    if (restarting) connection.close();
    else connection.cleaned();
    await connection.closed;
    return exit.exitCode;
  }

  /** @returns whether the container is to be started again */
  async #cleanUpAfterEnd(): Promise<boolean> {
    using _held = await lockDirectory(this.#paths.dir);
    const record = readContainerRecord(this.#paths);
    if (record === undefined) return false;
    const ended = await cleanUp(this.#context, this.#paths, record);
    if (ended.state.restarting) return true;
    if (ended.spec.autoRemove === true) discard(this.#context, ended, { volumes: true });
    return false;
  }

  async #connect(): Promise<MonitorConnection> {
    try {
      if (this.#observe().status === 'running') return await connectMonitor(this.#paths.socket);
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== 'RUNTIME_NO_MONITOR') throw error;
    }
    throw new EngineError('ENGINE_CONTAINER_NOT_RUNNING', `container ${this.id} is not running`, {
      containerId: this.id,
    });
  }

  /** Marks the container as stopped on purpose, so that its restart policy leaves it alone. */
  async #refuseRestarts(signal?: AbortSignal): Promise<void> {
    const { spec } = this.#record();
    if ((spec.restart ?? { name: 'no' }).name === 'no') return;
    using _held = await lockDirectory(this.#paths.dir, { signal });
    updateState(this.#paths, this.#record(), { stopRequested: true, restarting: false });
  }

  async stop({ timeoutMs, stopSignal, signal }: Parameters<Container['stop']>[0] = {}): Promise<void> {
    await this.#refuseRestarts(signal);
    let connection: MonitorConnection;
    try {
      connection = await this.#connect();
    } catch (error) {
      if (!(Error.isError(error) && 'code' in error && error.code === 'ENGINE_CONTAINER_NOT_RUNNING')) throw error;
      await this.#settleLocked();
      return;
    }
    using held = connection;
    const record = this.#record();
    const patienceMs = timeoutMs ?? record.spec.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS;
    held.signal(parseSignal(stopSignal ?? record.process.stopSignal));
    if (!(await endsWithin(held, patienceMs, signal))) held.signal(parseSignal(SIGKILL));
    await abortable(held.closed, signal);
    await this.#settleLocked();
  }

  async #settleLocked(): Promise<void> {
    if (readContainerRecord(this.#paths) === undefined) return;
    using _held = await lockDirectory(this.#paths.dir);
    if (readContainerRecord(this.#paths) !== undefined) await this.#settle();
  }

  async kill(signalName: string = SIGKILL): Promise<void> {
    const signalNumber = parseSignal(signalName);
    using connection = await this.#connect();
    if (signalNumber === parseSignal(SIGKILL)) await this.#refuseRestarts();
    connection.signal(signalNumber);
    // What was written is on its way; a KILL is also seen to its end, so that the next command finds it done.
    if (signalNumber === parseSignal(SIGKILL)) {
      await connection.closed;
      await this.#settleLocked();
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
    if (readContainerRecord(this.#paths) === undefined) return true; // it was --rm, and went by itself
    using _held = await lockDirectory(this.#paths.dir, { signal });
    if (readContainerRecord(this.#paths) === undefined) return true;
    const settled = await this.#settle();
    if (observe(this.#paths, settled).status === 'running') return false;
    discard(this.#context, settled, { volumes: volumes || settled.spec.autoRemove === true });
    return true;
  }

  async #endNow(signal: AbortSignal | undefined): Promise<void> {
    await this.stop({ timeoutMs: 0, stopSignal: SIGKILL, signal });
  }

  rename(name: string): void {
    const record = this.#record();
    takeName(this.#context.layout, name, this.id);
    writeContainerRecord(this.#paths, { ...record, name });
    releaseName(this.#context.layout, record.name, this.id);
  }

  async wait({ signal, condition = 'not-running' }: Parameters<Container['wait']>[0] = {}): Promise<number> {
    for (;;) {
      const record = readContainerRecord(this.#paths);
      if (record === undefined) return 0;
      const seen = observe(this.#paths, record);
      if (seen.status !== 'running' && seen.status !== 'restarting') {
        if (condition === 'not-running') return inspectContainer(record, this.#paths, seen).State.ExitCode;
        await sleep(WAIT_POLL_MS, undefined, { signal });
        continue;
      }
      if (seen.status === 'restarting') {
        await sleep(WAIT_POLL_MS, undefined, { signal });
        continue;
      }
      const exitCode = await this.#waitForMonitor(signal);
      if (exitCode !== undefined && condition === 'not-running') return exitCode;
    }
  }

  async #waitForMonitor(signal: AbortSignal | undefined): Promise<number | undefined> {
    try {
      using connection = await this.#connect();
      const { exitCode } = await abortable(connection.exit, signal);
      await abortable(connection.closed, signal);
      return exitCode;
    } catch (error) {
      if (!(Error.isError(error) && 'code' in error)) throw error;
      if (error.code !== 'ENGINE_CONTAINER_NOT_RUNNING' && error.code !== 'RUNTIME_NO_MONITOR') throw error;
      return undefined;
    }
  }

  async attach(options: CallOptions = {}): Promise<Attachment> {
    options.signal?.throwIfAborted();
    const record = this.#record();
    const connection = await this.#connect();
    const report = await abortable(connection.started, options.signal);
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

  logs(options: LogsOptions = {}): AsyncIterable<LogEntry> {
    this.#record();
    return readLogs(this.#paths.log, {
      ...options,
      hasEnded: () => {
        const record = readContainerRecord(this.#paths);
        return record === undefined || !['running', 'restarting'].includes(observe(this.#paths, record).status);
      },
    });
  }

  async exec(spec: ExecSpec, options: StartOptions = {}): Promise<Attachment> {
    options.signal?.throwIfAborted();
    const record = this.#record();
    const { status, hostPid } = observe(this.#paths, record);
    if (status !== 'running') {
      throw new EngineError('ENGINE_CONTAINER_NOT_RUNNING', `container ${this.id} is not running`, {
        containerId: this.id,
      });
    }
    return execIn({ context: this.#context, paths: this.#paths, record, hostPid }, spec, options);
  }

  /** The container's files: those its processes see if it runs, its own overlay if it doesn't (then under its lock). */
  async #openRoot(signal?: AbortSignal): Promise<{ readonly fd: number; close(): void }> {
    const running = this.#observe();
    if (running.status === 'running') {
      const fd = openRunningRoot(running.hostPid);
      return { fd, close: () => closeSync(fd) };
    }
    const held = await lockDirectory(this.#paths.dir, { signal });
    try {
      const mount = mountRoot(this.#context.layout, await this.#settle());
      const close = (): void => {
        mount.close();
        held[Symbol.dispose]();
      };
      return { fd: mount.fd, close };
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  async changes({ signal }: CallOptions = {}): Promise<Layer | undefined> {
    signal?.throwIfAborted();
    if (this.#observe().status === 'running') {
      throw new EngineError('ENGINE_CONTAINER_RUNNING', `container ${this.id} is running: its files still change`, {
        containerId: this.id,
      });
    }
    using _held = await lockDirectory(this.#paths.dir, { signal });
    return await changesOf(this.#paths, await this.#settle(), signal);
  }

  async commit(options: CommitOptions = {}): Promise<string> {
    options.signal?.throwIfAborted();
    const { status } = this.#observe();
    const parts = { context: this.#context, paths: this.#paths };
    if (status === 'running') return commitRunning({ ...parts, record: this.#record() }, options);
    using _held = await lockDirectory(this.#paths.dir, { signal: options.signal });
    return await commitStopped({ ...parts, record: await this.#settle() }, options);
  }

  async statPath(path: string): Promise<PathStat | undefined> {
    const root = await this.#openRoot();
    try {
      return statBelow(root.fd, path);
    } finally {
      root.close();
    }
  }

  async readArchive(path: string, { signal }: CallOptions = {}): Promise<{ stat: PathStat; archive: Readable }> {
    const root = await this.#openRoot(signal);
    try {
      const stat = statBelow(root.fd, path);
      if (stat !== undefined)
        return {
          stat,
          archive: packBelow(root.fd, path, () => {
            root.close();
          }),
        };
    } catch (error) {
      root.close();
      throw error;
    }
    root.close();
    throw new EngineError('ENGINE_NO_SUCH_PATH', `could not find the file ${path} in container ${this.id}`, { path });
  }

  async exportArchive({ signal }: CallOptions = {}): Promise<Readable> {
    const root = await this.#openRoot(signal);
    return packRoot(root.fd, () => {
      root.close();
    });
  }

  async writeArchive(
    directory: string,
    archive: Readable,
    { copyUidGid = true, signal }: Parameters<Container['writeArchive']>[2] = {},
  ): Promise<void> {
    const root = await this.#openRoot(signal);
    try {
      await unpackBelow(archive, { rootFd: root.fd, directory, asRoot: !copyUidGid, signal });
    } finally {
      root.close();
    }
  }
}

type RemoveOptions = NonNullable<Parameters<Container['remove']>[0]>;

const WAIT_POLL_MS = 50;

/** Resolves when the monitor has read what was sent: it answers nothing, so an ordinary turn of the loop has to do. */
const flushed = (_connection: MonitorConnection): Promise<void> => sleep(1);
