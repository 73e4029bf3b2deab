import { statSync } from 'node:fs';

import { hasCode, spawnInit } from '@tsc/sys';
import type { InitProcess, StartProgram } from '@tsc/sys';

import { RuntimeError } from './errors.ts';
import { startFailure } from './failure.ts';
import { filterOf } from './filter-cache.ts';
import { connectionFrom, reapMonitor } from './monitor.ts';
import type { MonitorConnection } from './monitor.ts';
import type { OciProcess, OciSpec } from './oci-spec.ts';
import { compileExec } from './program/exec.ts';
import type { ExecContext } from './program/exec.ts';
import type { SourceKind } from './program/mounts.ts';
import { parseMountOptions } from './program/mount-options.ts';
import { compileStart } from './program/start.ts';
import type { StartContext } from './program/start.ts';
import type { LinuxSeccomp } from './oci-spec.ts';

/** The descriptors of a start, gathered in the order in which tsc-init gets them. They stay the caller's to close. */
export class InheritedDescriptors {
  readonly #fds: number[] = [];

  /** The slot under which the start program knows `fd`. */
  add(fd: number): number {
    return this.#fds.push(fd) - 1;
  }

  get fds(): readonly number[] {
    return this.#fds;
  }
}

/** A process that a monitor keeps. */
export interface KeptProcess {
  readonly hostPid: number;
  readonly monitorPid: number;
  readonly connection: MonitorConnection;
}

/** Looks at the source of every bind mount, so that a target of the same kind can be made. */
function probeSources(spec: OciSpec): Map<string, SourceKind> {
  const kinds = new Map<string, SourceKind>();
  for (const { source, type, options } of spec.mounts ?? []) {
    if (source === undefined || !(type === 'bind' || parseMountOptions(options ?? []).bind)) continue;
    try {
      kinds.set(source, statSync(source).isDirectory() ? 'directory' : 'file');
    } catch (cause) {
      if (!hasCode(cause, 'ENOENT', 'ENOTDIR')) throw cause;
      throw new RuntimeError('RUNTIME_START_FAILED', `bind source path does not exist: ${source}`, {
        path: source,
        errno: 'ENOENT',
        cause,
      });
    }
  }
  return kinds;
}

/** Waits for the monitor's first word. When it is not "started", nothing is left behind. */
async function awaitStart(init: InitProcess, program: StartProgram): Promise<KeptProcess> {
  const connection = connectionFrom(init.controlFd);
  let started = false;
  const reaped = connection.closed.then(() => reapMonitor(init, { ref: !started }));
  const report = await connection.started;
  started = report.type === 'started';
  if (report.type === 'started') return { hostPid: report.hostPid, monitorPid: init.pid, connection };
  await reaped;
  throw startFailure(program, report);
}

export type StartOptions = Omit<StartContext, 'inherited' | 'sourceKinds' | 'seccomp'> & {
  readonly inherited: InheritedDescriptors;
  /** A directory, for root alone, in which compiled seccomp filters are kept for the next process. */
  readonly filterCacheDir?: string | undefined;
  readonly label?: string | undefined;
};

/**
 * Starts a container: compiles its configuration, hands the program to tsc-init and waits until the container's command
 * runs.
 *
 * @throws RuntimeError `RUNTIME_COMMAND_NOT_FOUND`, `RUNTIME_COMMAND_NOT_EXECUTABLE`, `RUNTIME_START_FAILED`, `RUNTIME_INVALID_SPEC`
 * @remarks Privilege: root.
 */
export async function startContainer(spec: OciSpec, options: StartOptions): Promise<KeptProcess> {
  const program = compileStart(spec, {
    ...options,
    inherited: options.inherited.fds.length,
    sourceKinds: probeSources(spec),
    seccomp: spec.linux?.seccomp === undefined ? undefined : filterOf(spec.linux.seccomp, options.filterCacheDir),
  });
  return awaitStart(spawnInit({ program, fds: options.inherited.fds, label: options.label }), program);
}

export type ExecOptions = Omit<ExecContext, 'inherited' | 'seccomp'> & {
  readonly inherited: InheritedDescriptors;
  readonly seccompProfile?: LinuxSeccomp | undefined;
  /** As of {@link StartOptions}. */
  readonly filterCacheDir?: string | undefined;
  readonly label?: string | undefined;
};

/** Starts a further process in a running container. @throws as {@link startContainer} */
export async function execInContainer(ociProcess: OciProcess, options: ExecOptions): Promise<KeptProcess> {
  const program = compileExec(ociProcess, {
    ...options,
    inherited: options.inherited.fds.length,
    seccomp:
      options.seccompProfile === undefined ? undefined : filterOf(options.seccompProfile, options.filterCacheDir),
  });
  return awaitStart(spawnInit({ program, fds: options.inherited.fds, label: options.label }), program);
}
