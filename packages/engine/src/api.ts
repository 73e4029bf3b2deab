import type { ImageStore, Layer, PruneOptions, PruneReport, RemoveReport } from '@tsc/image';
import type { Readable, Writable } from 'node:stream';

import type { ContainerSpec, PortSpec } from './container-spec.ts';
import type { DiskUsage } from './disk-usage.ts';
import type { ContainerInspect, ContainerStatus } from './inspect.ts';

/** Passed to every call that waits. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The model behind every Docker verb. State lives in files, so any number of engines, in any number of processes, may
 * work on one root at the same time; dispose an engine when done with it, its containers run on.
 */
export interface Engine extends AsyncDisposable {
  readonly rootDir: string;
  readonly runDir: string;
  readonly images: ImageStore;
  /** Makes a container and doesn't start it. */
  createContainer(spec: ContainerSpec, options?: CallOptions): Promise<Container>;
  /** `createContainer` and `start` in one; a container that fails to start is removed again. */
  run(spec: ContainerSpec, options?: StartOptions): Promise<RunningContainer>;
  /** Finds a container by name, id or id prefix. @throws EngineError `ENGINE_NO_SUCH_CONTAINER` */
  container(reference: string): Container;
  /**
   * Takes a name of an image away, and the image with its last one, unless a container needs it: `force` makes an image go
   * that stopped containers need, which keep their files; one that a running container needs stays.
   *
   * @throws EngineError `ENGINE_IMAGE_IN_USE`; ImageError `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `IMAGE_CONFLICT`
   */
  removeImage(
    reference: string,
    options?: CallOptions & { readonly force?: boolean | undefined },
  ): Promise<RemoveReport>;
  /** Removes images that no container has: those without a name, or with `all` the others too. */
  pruneImages(options?: Omit<PruneOptions, 'inUse'>): Promise<PruneReport>;
  /** Measures what images, containers and volumes take on disk. */
  diskUsage(options?: CallOptions): Promise<DiskUsage>;
  /** Newest first. */
  listContainers(options?: { readonly all?: boolean | undefined }): readonly ContainerSummary[];
  info(): Promise<EngineInfo>;
  close(): Promise<void>;
}

export interface StartOptions extends CallOptions {
  /** Connects the container's streams before its first byte; without it the container starts detached. */
  readonly attach?: boolean | undefined;
  /** First window size of a terminal. */
  readonly windowSize?: { readonly rows: number; readonly columns: number } | undefined;
}

/** A container by its id, in whatever state; what can't be done in its state throws an EngineError that says so. */
export interface Container {
  readonly id: string;
  readonly name: string;
  inspect(): ContainerInspect;
  start(options?: StartOptions): Promise<RunningContainer>;
  /** Sends the stop signal, then SIGKILL after `timeoutMs` (default: the container's own, 10 s). Stopped already is fine. */
  stop(
    options?: CallOptions & { readonly timeoutMs?: number | undefined; readonly stopSignal?: string | undefined },
  ): Promise<void>;
  /** @throws EngineError `ENGINE_CONTAINER_NOT_RUNNING` */
  kill(signalName?: string): Promise<void>;
  restart(options?: CallOptions & { readonly timeoutMs?: number | undefined }): Promise<void>;
  /** @throws EngineError `ENGINE_CONTAINER_RUNNING` unless `force` */
  remove(
    options?: CallOptions & { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined },
  ): Promise<void>;
  rename(name: string): void;
  /** Resolves when the container isn't running (or, with `removed`, doesn't exist) to its last exit code. */
  wait(options?: CallOptions & { readonly condition?: 'not-running' | 'removed' | undefined }): Promise<number>;
  /** Joins the streams of a running container. */
  attach(options?: CallOptions): Promise<Attachment>;
  logs(options?: LogsOptions): AsyncIterable<LogEntry>;
  exec(spec: ExecSpec, options?: StartOptions): Promise<Attachment>;
  /** Reads a file or directory of the container as tar, named by its base name; works in every state. */
  readArchive(path: string, options?: CallOptions): Promise<{ readonly stat: PathStat; readonly archive: Readable }>;
  /** Reads all of the container's files as tar, without what is mounted in it; works in every state. */
  exportArchive(options?: CallOptions): Promise<Readable>;
  /**
   * Unpacks a tar into a directory of the container: files are replaced, directories merged, and neither takes the place
   * of the other. `copyUidGid: false` makes everything root's; else owners are as in the archive.
   *
   * @throws EngineError `ENGINE_NO_SUCH_PATH`; ImageError `ARCHIVE_CONFLICT`
   */
  writeArchive(
    directory: string,
    archive: Readable,
    options?: CallOptions & { readonly copyUidGid?: boolean | undefined },
  ): Promise<void>;
  /**
   * What the container has changed in its image's files, as a layer; `undefined` when that is nothing. What is mounted in
   * it is left out, and so are the empty files and directories that were made to mount it on. The layer can be read for as
   * long as the container is there and isn't started again.
   *
   * @throws EngineError `ENGINE_CONTAINER_RUNNING`
   */
  changes(options?: CallOptions): Promise<Layer | undefined>;
  /**
   * Makes an image of the container: its image with what it has changed as one more layer, and with its command,
   * environment, user and labels. Volumes are left out. A running container stands still while its files are read.
   *
   * @returns the image's id
   * @throws ImageError `CHANGE_INVALID`, `REFERENCE_INVALID` before anything is done; `IMAGE_NOT_FOUND`: the container's
   *   image was removed by force; `LAYER_FAILED`: with `pause: false`, a file changed while it was read
   */
  commit(options?: CommitOptions): Promise<string>;
  /** What `path` is inside the container, links followed there. `undefined` when there is nothing. */
  statPath(path: string): Promise<PathStat | undefined>;
}

export interface CommitOptions extends CallOptions {
  /** A name for the image. */
  readonly reference?: string | undefined;
  readonly author?: string | undefined;
  /** A comment for the image's history. */
  readonly message?: string | undefined;
  /** Lines of a Dockerfile that change its config: `CMD ["/bin/sh"]`. */
  readonly changes?: readonly string[] | undefined;
  /** Whether the processes of a running container are held while its files are read; true unless told. */
  readonly pause?: boolean | undefined;
}

export interface PathStat {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly sizeBytes: number;
  readonly mode: number;
  readonly linkTarget: string | undefined;
}

export interface RunningContainer {
  readonly container: Container;
  /** Only when started with `attach`. */
  readonly attachment: Attachment | undefined;
  /** Resolves to the exit code when the container has ended and been cleaned up after. */
  wait(options?: CallOptions): Promise<number>;
}

/** The streams of a container's first process or of an exec. Leaving it doesn't end the process. */
export interface Attachment {
  readonly hostPid: number;
  /** `undefined` when the process has no open standard input. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** `undefined` with a terminal, which has one stream. */
  readonly stderr: Readable | undefined;
  resize(size: { readonly rows: number; readonly columns: number }): void;
  /** Resolves to the exit code when the process has ended and its output has been handed over. */
  readonly exitCode: Promise<number>;
  /** Sends a signal to the process. */
  kill(signalName: string): void;
  /** Leaves the streams; the process runs on. */
  detach(): void;
}

export interface ExecSpec {
  readonly command: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly workingDir?: string | undefined;
  readonly user?: string | undefined;
  readonly tty?: boolean | undefined;
  readonly openStdin?: boolean | undefined;
  readonly privileged?: boolean | undefined;
  /** Starts it and doesn't connect to it. */
  readonly detach?: boolean | undefined;
}

export interface LogsOptions extends CallOptions {
  readonly follow?: boolean | undefined;
  /** Only the last `tail` lines. */
  readonly tail?: number | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr';
  /** RFC 3339 with nanoseconds, as the log has it. */
  readonly time: string;
  /** A line with its end, or a piece of a long one without. */
  readonly text: string;
}

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  /** The image's name as it was asked for. */
  readonly image: string;
  readonly imageId: string;
  readonly command: readonly string[];
  readonly created: Date;
  readonly status: ContainerStatus;
  readonly exitCode: number;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  readonly ports: readonly PublishedPortSummary[];
  readonly labels: Readonly<Record<string, string>>;
  readonly network: string;
  readonly mounts: readonly string[];
}

/** Without `hostPort` the port is exposed and not published. */
export type PublishedPortSummary = PortSpec;

export interface EngineInfo {
  readonly version: string;
  readonly rootDir: string;
  readonly containers: number;
  readonly containersRunning: number;
  readonly containersStopped: number;
  readonly images: number;
  readonly cgroupMode: 'v1' | 'v2' | 'hybrid';
  readonly cgroupControllers: readonly string[];
  readonly storageDriver: string;
  readonly firewallBackend: string;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly hostname: string;
  readonly securityOptions: readonly string[];
  /** What the kernel lacks and which fallback is used instead, a line each. */
  readonly fallbacks: readonly string[];
}
