import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { hasCode } from '@tsc/sys';

import type { ResolvedMount } from './container-record.ts';
import type { MountSpec } from './container-spec.ts';
import { EngineError } from './errors.ts';
import { volumesDir } from './layout.ts';
import type { Layout } from './layout.ts';
import { writeWhole } from './record-file.ts';

const NAME_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

/** Makes a volume if it isn't there, and returns the directory of its files. */
function ensureVolume(layout: Layout, name: string): string {
  const dir = join(volumesDir(layout), name);
  const data = join(dir, '_data');
  if (existsSync(data)) return data;
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const volume = { name, created: new Date().toISOString() };
    writeWhole(join(dir, 'volume.json'), `${JSON.stringify(volume, null, 2)}\n`, { durable: true });
    return data;
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

function removeVolume(layout: Layout, name: string): void {
  if (NAME_PATTERN.test(name)) rmSync(join(volumesDir(layout), name), { recursive: true, force: true });
}

function checkBindSource(mount: Extract<MountSpec, { type: 'bind' }>): void {
  if (!mount.source.startsWith('/')) {
    throw new EngineError('ENGINE_INVALID_SPEC', `invalid mount config: '${mount.source}' must be an absolute path`);
  }
  try {
    statSync(mount.source);
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT', 'ENOTDIR')) throw cause;
    if (mount.createSource !== true || !hasCode(cause, 'ENOENT')) {
      throw new EngineError('ENGINE_INVALID_SPEC', `bind source path does not exist: ${mount.source}`, {
        path: mount.source,
        cause,
      });
    }
  }
}

function checkPropagation(propagation: string): void {
  // Mounts of a container reach the host only through a namespace that shares them; ours never does.
  if (propagation !== 'shared' && propagation !== 'rshared') return;
  throw new EngineError(
    'ENGINE_INVALID_SPEC',
    `bind propagation '${propagation}' is not supported: use rslave or rprivate`,
  );
}

const tmpfsOptions = (mount: Extract<MountSpec, { type: 'tmpfs' }>): string[] => [
  'nosuid',
  'nodev',
  'noexec',
  ...(mount.sizeBytes === undefined ? [] : [`size=${String(mount.sizeBytes)}`]),
  `mode=${(mount.mode ?? 0o1777).toString(8)}`,
  ...(mount.options ?? []),
];

/** Refuses what can't be mounted, before anything is made. */
function checkMount(mount: MountSpec): void {
  if (mount.type === 'bind') {
    checkPropagation(mount.propagation ?? 'rprivate');
    checkBindSource(mount);
  }
  if (mount.type === 'volume' && mount.source !== undefined && !NAME_PATTERN.test(mount.source)) {
    throw new EngineError(
      'ENGINE_INVALID_SPEC',
      `"${mount.source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
    );
  }
}

/** Settles where each mount comes from, making volumes and, for `-v`, missing directories. */
export function resolveMounts(layout: Layout, mounts: readonly MountSpec[]): readonly ResolvedMount[] {
  for (const mount of mounts) checkMount(mount);
  const made: ResolvedMount[] = [];
  try {
    for (const mount of mounts) made.push(resolveMount(layout, mount));
    return made;
  } catch (error) {
    removeAnonymous(layout, made);
    throw error;
  }
}

/** Removes the volumes that were made for one container alone. */
export function removeAnonymous(layout: Layout, mounts: readonly ResolvedMount[]): void {
  for (const mount of mounts) if (mount.type === 'volume' && mount.anonymous) removeVolume(layout, mount.name);
}

function resolveMount(layout: Layout, mount: MountSpec): ResolvedMount {
  const { target } = mount;
  if (mount.type === 'tmpfs') return { type: 'tmpfs', target, options: tmpfsOptions(mount) };
  const readOnly = mount.readOnly ?? false;
  if (mount.type === 'bind') {
    if (mount.createSource === true && !existsSync(mount.source)) mkdirSync(mount.source, { recursive: true });
    return { type: 'bind', source: mount.source, target, readOnly, propagation: mount.propagation ?? 'rprivate' };
  }
  const anonymous = mount.source === undefined;
  const name = mount.source ?? randomBytes(32).toString('hex');
  const source = ensureVolume(layout, name);
  return { type: 'volume', name, source, target, readOnly, noCopy: mount.noCopy ?? false, anonymous };
}
