import { closeSync } from 'node:fs';

import { InheritedDescriptors, execInContainer, isRuntimeError, parseExactJson, resolveUser } from '@tsc/runtime';
import type { OciProcess, OciSpec } from '@tsc/runtime';

import type { Attachment, ExecSpec, StartOptions } from './api.ts';
import { attachmentOf } from './attachment.ts';
import { cgroupEntry, cgroupPath, findCgroup } from './cgroup.ts';
import type { ContainerRecord } from './container-record.ts';
import { readDatabase } from './container-root.ts';
import type { Context } from './context.ts';
import { EngineError } from './errors.ts';
import { filtersDir } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import { capabilitiesOf } from './oci-config.ts';
import { readIfThere } from './record-file.ts';
import { hasEnded, notRunning, openRunningProcess } from './running-process.ts';

function mergeEnv(base: readonly string[], own: readonly string[]): string[] {
  const merged = new Map(base.map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
  for (const entry of own) merged.set(entry.split('=', 1)[0] ?? '', entry);
  return [...merged.values()];
}

interface ExecPlace {
  readonly rootFd: number;
  /** Capabilities of a privileged process. */
  readonly all: readonly string[];
}

/** What the exec runs: the container's own process with what was asked laid over it. */
function execProcess(base: OciProcess, spec: ExecSpec, { rootFd, all }: ExecPlace): OciProcess {
  const files = { passwd: readDatabase(rootFd, 'etc/passwd'), group: readDatabase(rootFd, 'etc/group') };
  const user = spec.user === undefined ? undefined : resolveUser(spec.user, files);
  const privileged = spec.privileged === true ? all : undefined;
  const home = user === undefined ? [] : [`HOME=${user.home}`];
  const term = spec.tty === true ? ['TERM=xterm'] : [];
  return {
    ...base,
    args: spec.command,
    terminal: spec.tty ?? false,
    cwd: spec.workingDir ?? base.cwd,
    env: mergeEnv(base.env ?? [], [...home, ...term, ...(spec.env ?? [])]),
    ...(user === undefined ? {} : { user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids } }),
    ...(privileged === undefined
      ? {}
      : { capabilities: { ...base.capabilities, bounding: privileged, effective: privileged, permitted: privileged } }),
  };
}

function readOciConfig(paths: ContainerPaths): OciSpec & { readonly process: OciProcess } {
  const text = readIfThere(paths.ociConfig);
  const config = text === undefined ? undefined : (parseExactJson(text) as OciSpec);
  if (config?.process === undefined) throw new EngineError('ENGINE_START_FAILED', `${paths.ociConfig} is missing`);
  return { ...config, process: config.process };
}

function execFailure(cause: unknown): unknown {
  if (!isRuntimeError(cause)) return cause;
  const message = `exec failed: ${cause.message}`;
  if (cause.code === 'RUNTIME_COMMAND_NOT_FOUND')
    return new EngineError('ENGINE_COMMAND_NOT_FOUND', message, { cause });
  if (cause.code === 'RUNTIME_COMMAND_NOT_EXECUTABLE') {
    return new EngineError('ENGINE_COMMAND_NOT_EXECUTABLE', message, { cause });
  }
  return new EngineError('ENGINE_START_FAILED', message, { cause });
}

export interface ExecParts {
  readonly context: Context;
  readonly paths: ContainerPaths;
  readonly record: ContainerRecord;
  readonly hostPid: number;
}

/**
 * Runs a further process in a running container, in its namespaces, cgroups and filter.
 * If the container ends meanwhile, entering by the pidfd of its first process fails.
 */
export async function execIn(parts: ExecParts, spec: ExecSpec, options: StartOptions): Promise<Attachment> {
  const { context, paths, record, hostPid } = parts;
  using undo = new DisposableStack();
  const keep = (fd: number): number => {
    undo.defer(() => {
      closeSync(fd);
    });
    return fd;
  };
  const { pidfd, rootFd } = undo.use(openRunningProcess(context.layout, record.id, hostPid));
  const config = readOciConfig(paths);
  const all = capabilitiesOf({ privileged: true }, context.host.facts);
  const cgroup = findCgroup(cgroupPath(context.layout, record.id), context.host.cgroups);
  const directory = cgroup?.openDirectory();
  const inherited = new InheritedDescriptors();
  const attached = spec.detach !== true;
  try {
    const kept = await execInContainer(execProcess(config.process, spec, { rootFd, all }), {
      inherited,
      target: inherited.add(pidfd),
      cgroup:
        cgroup === undefined
          ? undefined
          : {
              joinTargets: cgroupEntry(cgroup, context.host.cgroups).joinTargets,
              ...(directory === undefined ? {} : { directory: inherited.add(keep(directory)) }),
            },
      keep: { stdin: spec.openStdin, stdinOnce: true, attached },
      seccompProfile: spec.privileged === true ? undefined : config.linux?.seccomp,
      filterCacheDir: filtersDir(context.layout),
      windowSize: options.windowSize,
      label: `${record.id.slice(0, 12)} exec`,
    });
    const exitCode = kept.connection.exit.then((exit) => exit.exitCode);
    if (!attached) kept.connection.close();
    return attachmentOf({
      connection: kept.connection,
      hostPid: kept.hostPid,
      tty: spec.tty ?? false,
      openStdin: spec.openStdin ?? false,
      exitCode,
    });
  } catch (cause) {
    throw hasEnded(hostPid) ? notRunning(record.id) : execFailure(cause);
  }
}
