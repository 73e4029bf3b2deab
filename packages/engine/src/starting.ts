import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Cgroup } from '@tsc/cgroups';
import type { OverlayMount } from '@tsc/overlay';
import { InheritedDescriptors, formatExactJson, isRuntimeError, resolveUser, startContainer } from '@tsc/runtime';
import type { KeptProcess, OciSpec, ResolvedUser } from '@tsc/runtime';
import { AF_UNIX, LOCK_EX, SOCK_STREAM, bind, flock, hasCode, listen, sockaddr_un, socket } from '@tsc/sys';

import type { StartOptions } from './api.ts';
import { sweep } from './cleaning.ts';
import { cgroupEntry, cgroupPath, makeCgroup, removeCgroup } from './cgroup.ts';
import type { ContainerRecord, ContainerState } from './container-record.ts';
import { updateState } from './container-record.ts';
import { mountRoot, readDatabase } from './container-root.ts';
import type { Context } from './context.ts';
import { EngineError, isEngineError, refused } from './errors.ts';
import { filtersDir, scratchDir } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import type { NetworkAttachment } from './network.ts';
import { hostsFile, resolvConf } from './network-files.ts';
import { cgroupLimits, hostnameOf, ociConfig } from './oci-config.ts';
import { copyUp } from './volume-content.ts';

const LISTEN_BACKLOG = 64;
const PORT_PATIENCE_MS = 2_000;
/** A monitor that has not begun yet looks like the engine that was killed while it started it. */
const PORT_HANDOVER_MS = 100;
const PORT_POLL_MS = 10;
const DEFAULT_LOG_BYTES = 20 * 1024 ** 2;
const DEFAULT_LOG_FILES = 5;

/** Who the container's process is: as its own files say, read through its own root. */
function userOf(record: ContainerRecord, root: OverlayMount): ResolvedUser {
  const files = { passwd: readDatabase(root.fd, 'etc/passwd'), group: readDatabase(root.fd, 'etc/group') };
  return resolveUser(record.process.user, files, { groupAdd: record.spec.groupAdd });
}

function writeNetworkFiles(paths: ContainerPaths, record: ContainerRecord): void {
  const hostname = hostnameOf(record);
  const { address, gateway } = record.state.network ?? {};
  writeFileSync(paths.hostname, `${hostname}\n`, { mode: 0o644 });
  writeFileSync(paths.hosts, hostsFile(record.spec, { hostname, address, gateway }), { mode: 0o644 });
  writeFileSync(paths.resolvConf, resolvConf(record.spec, readHostResolvConf()), { mode: 0o644 });
}

function readHostResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  }
}

/** Descriptors of the container's directory in `/run`. */
interface RunFiles extends Disposable {
  readonly dir: number;
  readonly lock: number;
}

/** The container's files in `/run`, fresh: what its last monitor wrote there must not be taken for this one's. */
function makeRunFiles(paths: ContainerPaths): RunFiles {
  rmSync(paths.runDir, { recursive: true, force: true });
  mkdirSync(paths.runDir, { mode: 0o700 });
  const lock = openSync(paths.runLock, 'w+', 0o600);
  flock(lock, LOCK_EX); // who looks whether it is locked holds it for a moment
  const dir = openSync(paths.runDir, constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    dir,
    lock,
    [Symbol.dispose]: () => {
      closeSync(dir);
      closeSync(lock);
    },
  };
}

/** A socket that the monitor listens on. */
function makeListener(runDir: number): number {
  const listener = socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    // By way of the descriptor: a socket's path may have 107 bytes, a directory of the user's any number.
    bind(listener, sockaddr_un(`/proc/self/fd/${String(runDir)}/monitor.sock`));
    listen(listener, LISTEN_BACKLOG);
    return listener;
  } catch (error) {
    closeSync(listener);
    throw error;
  }
}

interface Launch {
  readonly context: Context;
  readonly paths: ContainerPaths;
  readonly record: ContainerRecord;
  readonly oci: OciSpec;
  readonly runFiles: RunFiles;
  readonly root: OverlayMount;
  readonly cgroup: Cgroup;
  readonly network: NetworkAttachment | undefined;
  readonly options: StartOptions;
}

/** Gathers the descriptors and starts tsc-init; ours are closed again whatever happens. */
async function launch(parts: Launch): Promise<KeptProcess> {
  const { context, paths, record, oci, runFiles, root, cgroup, network, options } = parts;
  using undo = new DisposableStack();
  const inherited = new InheritedDescriptors();
  const { log } = record.spec;
  const keep = (fd: number): number => {
    undo.defer(() => {
      closeSync(fd);
    });
    return inherited.add(fd);
  };
  const directory = cgroup.openDirectory();
  const program = {
    inherited,
    rootfs: inherited.add(root.fd),
    scratchDir: scratchDir(context.layout),
    ...(network === undefined ? {} : { netns: inherited.add(network.netnsFd) }),
    cgroup: {
      ...cgroupEntry(cgroup, context.host.cgroups),
      ...(directory === undefined ? {} : { directory: keep(directory) }),
    },
    keep: {
      stdin: record.spec.openStdin,
      stdinOnce: options.attach === true,
      attached: options.attach === true,
      listener: keep(makeListener(runFiles.dir)),
      runDir: inherited.add(runFiles.dir),
      cleanupCommand: [...context.cleanupCommand, record.id],
      ...(log?.driver === 'none'
        ? {}
        : {
            log: {
              dir: keep(openSync(paths.dir, constants.O_RDONLY | constants.O_DIRECTORY)),
              name: paths.logName,
              maxSizeBytes: log?.maxSizeBytes ?? DEFAULT_LOG_BYTES,
              maxFiles: log?.maxFiles ?? DEFAULT_LOG_FILES,
            },
          }),
    },
    windowSize: options.windowSize,
    reap: record.spec.init,
    filterCacheDir: filtersDir(context.layout),
    label: record.id.slice(0, 12),
  };
  // The monitor has no use for these but to hold them: lock and ports are free again when it ends.
  for (const fd of [runFiles.lock, ...(network?.reservationFds ?? [])]) inherited.add(fd);
  return await startContainer(oci, program);
}

function failure(record: ContainerRecord, cause: unknown): unknown {
  if (!isRuntimeError(cause)) return refused('failed to start container', cause, record.id);
  const details = { cause, containerId: record.id };
  if (cause.code === 'RUNTIME_COMMAND_NOT_FOUND') {
    return new EngineError('ENGINE_COMMAND_NOT_FOUND', `failed to start container: ${cause.message}`, details);
  }
  if (cause.code === 'RUNTIME_COMMAND_NOT_EXECUTABLE') {
    return new EngineError('ENGINE_COMMAND_NOT_EXECUTABLE', `failed to start container: ${cause.message}`, details);
  }
  return new EngineError('ENGINE_START_FAILED', `failed to start container: ${cause.message}`, details);
}

export interface Started {
  readonly record: ContainerRecord;
  readonly kept: KeptProcess;
}

/**
 * Starts a container that isn't running; the caller holds its lock. Network and root file system are made before the
 * process, which enters them. On failure everything is taken back, and the record says why.
 */
export async function startRecorded(
  context: Context,
  paths: ContainerPaths,
  { record, options }: { readonly record: ContainerRecord; readonly options: StartOptions },
): Promise<Started> {
  try {
    return await startOrUndo(context, paths, { record, options });
  } catch (cause) {
    const error = failure(record, cause);
    rmSync(paths.runDir, { recursive: true, force: true });
    recordFailure(paths, record, error);
    throw error;
  }
}

/** The record says `started` before anything is made that only it names, until all of that is taken back. */
async function startOrUndo(
  context: Context,
  paths: ContainerPaths,
  { record, options }: { readonly record: ContainerRecord; readonly options: StartOptions },
): Promise<Started> {
  using runFiles = makeRunFiles(paths);
  await using undo = new AsyncDisposableStack();
  const network = await connectNetwork(context, record, options.signal);
  if (network !== undefined) {
    undo.defer(async () => {
      network.close();
      await context.network.disconnect(record.id);
    });
  }
  const begun = updateState(paths, record, { ...freshState(), network: network?.record });
  const root = undo.use(mountRoot(context.layout, begun));
  writeNetworkFiles(paths, begun);
  await copyUp(begun, root.fd);
  const groupPath = cgroupPath(context.layout, record.id);
  const user = userOf(begun, root);
  const oci = ociConfig({ record: begun, paths, user, cgroupPath: groupPath, hostFacts: context.host.facts });
  writeFileSync(paths.ociConfig, formatExactJson(oci), { mode: 0o600 });
  const limits = cgroupLimits(oci, record.spec.resources ?? {}, context.host.cgroups);
  undo.defer(() => removeCgroup(groupPath, context.host.cgroups));
  const cgroup = await makeCgroup(groupPath, context.host.cgroups, limits);
  const kept = await launch({ context, paths, record: begun, oci, runFiles, root, cgroup, network, options });
  undo.move();
  root.close();
  network?.close();
  return { record: begun, kept };
}

async function connectNetwork(
  context: Context,
  { id, spec }: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<NetworkAttachment | undefined> {
  if ((spec.network ?? 'bridge') !== 'bridge') return undefined;
  const ports = spec.ports ?? [];
  const begun = performance.now();
  for (let swept = false; ; swept = true) {
    try {
      return await context.network.connect(id, ports, signal);
    } catch (error) {
      if (!isEngineError(error) || error.code !== 'ENGINE_PORT_IN_USE') throw error;
      const waitedMs = performance.now() - begun;
      if (waitedMs > PORT_PATIENCE_MS) throw error;
      if (swept && waitedMs > PORT_HANDOVER_MS && !context.network.isBeingFreed(ports)) throw error;
      // Somebody who was killed may still have it, and a container that has just gone has it for a moment.
      if (swept) await sleep(PORT_POLL_MS, undefined, { signal });
      else await sweep(context);
    }
  }
}

const freshState = (): Partial<ContainerState> => ({
  phase: 'started',
  startedAt: new Date().toISOString(),
  finishedAt: undefined,
  exitCode: 0,
  oomKilled: false,
  error: '',
  stopRequested: false,
  restarting: false,
});

/** Keeps the reason in the record. Where even that can't be written, the disk is full, and the reason itself says so. */
function recordFailure(paths: ContainerPaths, record: ContainerRecord, error: unknown): void {
  const message = Error.isError(error) ? error.message : String(error);
  try {
    updateState(paths, record, { error: message, exitCode: exitCodeOfFailure(error), network: undefined });
  } catch (writing) {
    if (!hasCode(writing, 'ENOSPC', 'EDQUOT', 'EROFS')) throw writing;
  }
}

/** What `docker inspect` shows for a container that could not be started. */
function exitCodeOfFailure(error: unknown): number {
  if (!(Error.isError(error) && 'code' in error)) return 128;
  if (error.code === 'ENGINE_COMMAND_NOT_FOUND') return 127;
  return error.code === 'ENGINE_COMMAND_NOT_EXECUTABLE' ? 126 : 128;
}
