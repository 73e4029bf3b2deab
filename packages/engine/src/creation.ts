import type { StoredImage } from '@tsc/image';
import { isRuntimeError, parseSignal, resolveCapabilities } from '@tsc/runtime';

import type { ContainerRecord, ProcessRecord, ResolvedMount } from './container-record.ts';
import { initialState } from './container-record.ts';
import type { ContainerSpec, MountSpec } from './container-spec.ts';
import { EngineError } from './errors.ts';

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MIN_MEMORY_BYTES = 6 * 1024 ** 2;

const invalid = (message: string): EngineError => new EngineError('ENGINE_INVALID_SPEC', message);

/** What the runtime would refuse when the container starts is refused when it is made. */
function checked(check: () => unknown): void {
  try {
    check();
  } catch (cause) {
    if (!isRuntimeError(cause)) throw cause;
    throw new EngineError('ENGINE_INVALID_SPEC', cause.message, { cause });
  }
}

/** The image's environment with the caller's laid over it, variable by variable. */
function mergeEnv(image: readonly string[], own: readonly string[]): string[] {
  const merged = new Map(image.map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
  if (!merged.has('PATH')) merged.set('PATH', DEFAULT_PATH);
  for (const entry of own) {
    const name = entry.split('=', 1)[0] ?? '';
    if (name === '') throw invalid(`invalid environment variable: ${entry}`);
    if (entry.includes('=')) merged.set(name, entry);
    else merged.delete(name);
  }
  return [...merged.values()];
}

function resolveProcess(spec: ContainerSpec, image: StoredImage): ProcessRecord {
  const defaults = image.config.config ?? {};
  const entrypoint = spec.entrypoint ?? defaults.Entrypoint ?? [];
  // A new entrypoint has nothing to do with the arguments that the image meant for its own.
  const command = spec.command ?? (spec.entrypoint === undefined ? (defaults.Cmd ?? []) : []);
  const args = [...entrypoint, ...command];
  if (args.length === 0 || args[0] === '') throw invalid('no command specified');
  const stopSignal = spec.stopSignal ?? defaults.StopSignal ?? 'SIGTERM';
  checked(() => parseSignal(stopSignal)); // it may be the image's, which others wrote
  const workingDir = spec.workingDir ?? defaults.WorkingDir ?? '/';
  if (!(workingDir === '' || workingDir.startsWith('/'))) {
    throw invalid(`the working directory '${workingDir}' is invalid, it needs to be an absolute path`);
  }
  return {
    args,
    env: mergeEnv(defaults.Env ?? [], spec.env ?? []),
    workingDir: workingDir === '' ? '/' : workingDir,
    user: spec.user ?? defaults.User ?? '',
    stopSignal,
    entrypoint,
    command,
  };
}

/** `/a//b/` and `/a/b` are one place. */
function normaliseTarget(target: string): string {
  if (!target.startsWith('/')) throw invalid(`invalid mount path: '${target}' mount path must be absolute`);
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw invalid(`invalid mount path: '${target}' must not contain ..`);
  if (parts.length === 0) throw invalid("invalid specification: destination can't be '/'");
  const clean = `/${parts.join('/')}`;
  // Mounted over, these would make the masks and the container's view of itself something else (CVE-2019-16884).
  if (/^\/(?:proc|sys)$/.test(clean)) throw invalid(`refusing to mount over ${clean}`);
  return clean;
}

/** Volumes that the image declares, where the caller mounts nothing. */
function imageVolumes(spec: ContainerSpec, image: StoredImage): readonly MountSpec[] {
  const taken = new Set((spec.mounts ?? []).map(({ target }) => normaliseTarget(target)));
  return Object.keys(image.config.config?.Volumes ?? {})
    .filter((target) => !taken.has(normaliseTarget(target)))
    .map((target) => ({ type: 'volume', target }));
}

/** Every mount that the container will have, duplicates refused, parents before children. */
export function collectMounts(spec: ContainerSpec, image: StoredImage): readonly MountSpec[] {
  const seen = new Set<string>();
  const all = [...(spec.mounts ?? []), ...imageVolumes(spec, image)].map((mount) => ({
    ...mount,
    target: normaliseTarget(mount.target),
  }));
  for (const { target } of all) {
    if (seen.has(target)) throw invalid(`duplicate mount point: ${target}`);
    seen.add(target);
  }
  return all.toSorted((a, b) => a.target.split('/').length - b.target.split('/').length);
}

function checkResources(spec: ContainerSpec, cpuCount: number): void {
  const { memoryMaxBytes: memory, memorySwapMaxBytes: swap, cpus, pidsMax } = spec.resources ?? {};
  for (const [name, value] of Object.entries(spec.resources ?? {})) {
    if (typeof value === 'number' && !Number.isFinite(value))
      throw invalid(`invalid value for ${name}: ${String(value)}`);
  }
  if (memory !== undefined && memory < MIN_MEMORY_BYTES) throw invalid('minimum memory limit allowed is 6MB');
  if (swap !== undefined && swap !== -1 && memory !== undefined && swap < memory) {
    throw invalid('minimum memoryswap limit should be larger than already set memory limit');
  }
  if (cpus !== undefined && (cpus < 0.01 || cpus > cpuCount)) {
    throw invalid(
      `range of CPUs is from 0.01 to ${cpuCount.toFixed(2)}, as there are only ${String(cpuCount)} CPUs available`,
    );
  }
  if (pidsMax !== undefined && pidsMax < -1) throw invalid(`invalid pids limit: ${String(pidsMax)}`);
}

/** Everything that can be refused by looking, before anything is made. */
export function checkSpec(spec: ContainerSpec, cpuCount: number): void {
  checkResources(spec, cpuCount);
  const { name: policy } = spec.restart ?? { name: 'no' };
  if (spec.autoRemove === true && policy !== 'no')
    throw invalid('conflicting options: cannot specify both --restart and --rm');
  if (spec.network === 'host' && (spec.ports ?? []).length > 0) {
    throw invalid('conflicting options: port publishing and the host network');
  }
  if (spec.hostname !== undefined && !/^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$/.test(spec.hostname)) {
    throw invalid(`invalid hostname: ${spec.hostname}`);
  }
  checked(() => resolveCapabilities({ add: spec.capAdd ?? [], drop: spec.capDrop ?? [] }));
  for (const port of spec.ports ?? []) {
    const numbers = [port.containerPort, port.hostPort ?? 1];
    if (numbers.some((value) => !Number.isInteger(value) || value < 1 || value > 65_535)) {
      throw invalid(`invalid port: ${String(port.hostPort ?? '')}:${String(port.containerPort)}`);
    }
  }
}

export interface RecordParts {
  readonly id: string;
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly image: StoredImage;
  readonly mounts: readonly ResolvedMount[];
  readonly created: Date;
}

/** The record of a new container: image and wishes settled into one. */
export function makeRecord(parts: RecordParts): ContainerRecord {
  const { id, name, spec, image, mounts, created } = parts;
  return {
    version: 1,
    id,
    name,
    created: created.toISOString(),
    imageId: image.id,
    layerDirs: image.layerDirs,
    spec,
    process: resolveProcess(spec, image),
    mounts,
    labels: { ...image.config.config?.Labels, ...spec.labels },
    exposedPorts: Object.keys(image.config.config?.ExposedPorts ?? {}),
    state: initialState,
  };
}
