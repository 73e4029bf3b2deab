import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  OPEN_TREE_CLONE,
  RESOLVE_NO_SYMLINKS,
} from '@tsc/sys';
import type { Operation, ResolveMissing, Slot } from '@tsc/sys';

import type { OciMount } from '../oci-spec.ts';
import { parseMountOptions } from './mount-options.ts';
import type { MountOptions } from './mount-options.ts';
import type { Slots } from './slots.ts';

export const DEVPTS_SUPER_MAGIC = 0x1cd1;

/** Where a mount goes: the container's root, which is not the process's root yet. */
export interface MountTarget {
  readonly root: Slot;
  readonly slots: Slots;
}

/** What the compiler must know of the host about a mount's source. */
export type SourceKind = 'file' | 'directory';

/**
 * The kernel's own file systems go on real directories only: an image in which `/proc` is a link would otherwise choose
 * where it appears, and what is masked later would not be it (CVE-2019-19921).
 */
const isKernelDirectory = (destination: string): boolean => /^\/(?:proc|sys|dev)(?:\/|$)/.test(destination);

const resolveTarget = (target: MountTarget, mount: OciMount, missing: ResolveMissing): [Slot, Operation] => {
  const slot = target.slots.take();
  const resolve = isKernelDirectory(mount.destination) ? RESOLVE_NO_SYMLINKS : 0;
  return [slot, { op: 'resolve', slot, root: target.root, path: mount.destination, missing, resolve }];
};

const configure = (fs: Slot, [key, value]: MountOptions['data'][number]): Operation =>
  value === undefined
    ? { op: 'fsconfig', fs, command: FSCONFIG_SET_FLAG, key }
    : { op: 'fsconfig', fs, command: FSCONFIG_SET_STRING, key, value };

/** Operations that make a new file system, and the slot of its (still detached) mount. */
function makeFileSystem(target: MountTarget, mount: OciMount, options: MountOptions): [Slot, Operation[]] {
  const fs = target.slots.take();
  const made = target.slots.take();
  const fstype = mount.type ?? 'none';
  return [
    made,
    [
      { op: 'fsopen', slot: fs, fstype },
      ...(mount.source === undefined
        ? []
        : [{ op: 'fsconfig', fs, command: FSCONFIG_SET_STRING, key: 'source', value: mount.source } as const]),
      ...options.data.map((setting) => configure(fs, setting)),
      { op: 'fsconfig', fs, command: FSCONFIG_CMD_CREATE },
      { op: 'fsmount', slot: made, fs, attributes: options.attributesSet },
      { op: 'close', slot: fs },
    ],
  ];
}

/** Operations that clone a part of the host's tree, and the slot of the (still detached) clone. */
function cloneTree(target: MountTarget, source: string, options: MountOptions): [Slot, Operation[]] {
  const slot = target.slots.take();
  const recursive = options.recursive ? AT_RECURSIVE : 0;
  const operations: Operation[] = [{ op: 'openTree', slot, path: source, flags: OPEN_TREE_CLONE | recursive }];
  const { attributesSet: set, attributesClear: clear, propagation } = options;
  if ((set | clear) !== 0) operations.push({ op: 'mountSetattr', fd: slot, flags: recursive, set, clear });
  if (propagation !== 0) {
    const flags = options.propagationRecursive ? AT_RECURSIVE : 0;
    operations.push({ op: 'mountSetattr', fd: slot, flags, set: 0, clear: 0, propagation });
  }
  return [slot, operations];
}

/** The operations for one mount, and the slot that holds it afterwards. */
export function compileMount(
  target: MountTarget,
  mount: OciMount,
  sourceKind: SourceKind = 'directory',
): [Slot, Operation[]] {
  const options = parseMountOptions(mount.options ?? []);
  const bind = options.bind || mount.type === 'bind';
  const [made, making] = bind ? cloneTree(target, mount.source ?? '', options) : makeFileSystem(target, mount, options);
  const missing = bind && sourceKind === 'file' ? 'make-file' : 'make-directory';
  const [place, resolving] = resolveTarget(target, mount, missing);
  return [made, [...making, resolving, { op: 'moveMount', from: made, to: place }, { op: 'close', slot: place }]];
}

/** A v1 controller's directory of this container, by the names under which programs look for it. */
export interface CgroupMount {
  readonly controller: string;
  readonly hostPath: string;
}

/**
 * The container's own view of its cgroups, read-only: on v1 a tmpfs with each controller's directory of this container
 * bound into it (cheaper than mounting each hierarchy anew), on v2 one bind.
 */
export function compileCgroupMount(
  target: MountTarget,
  mount: OciMount,
  view: { readonly v1: readonly CgroupMount[]; readonly v2: string | undefined },
): Operation[] {
  const readOnly = mount.options?.includes('ro') ?? false;
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | (readOnly ? MOUNT_ATTR_RDONLY : 0);
  if (view.v2 !== undefined && view.v1.length === 0) {
    const options = ['bind', 'nosuid', 'nodev', 'noexec', ...(readOnly ? ['ro'] : [])];
    return compileMount(target, { destination: mount.destination, source: view.v2, options })[1];
  }
  const tmpfs: OciMount = {
    destination: mount.destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'noexec', 'mode=755'],
  };
  const [made, operations] = compileMount(target, tmpfs);
  for (const { controller, hostPath } of view.v1) {
    const clone = target.slots.take();
    operations.push(
      { op: 'mkdirat', dir: made, path: controller, mode: 0o755 },
      { op: 'openTree', slot: clone, path: hostPath, flags: OPEN_TREE_CLONE },
      { op: 'mountSetattr', fd: clone, flags: 0, set: attributes, clear: 0 },
      { op: 'moveMount', from: clone, to: made, path: controller },
      { op: 'close', slot: clone },
    );
  }
  if (readOnly) operations.push({ op: 'mountSetattr', fd: made, flags: 0, set: MOUNT_ATTR_RDONLY, clear: 0 });
  return operations;
}

/** Binds what a descriptor refers to (a terminal's slave) on a file that a `mknodat` made in the directory `dir`. */
export const bindDescriptor = (
  slots: Slots,
  fd: Slot,
  place: { readonly dir: Slot; readonly path: string },
): Operation[] => {
  const clone = slots.take();
  return [
    { op: 'openTree', slot: clone, dir: fd, path: '', flags: OPEN_TREE_CLONE | AT_EMPTY_PATH },
    { op: 'moveMount', from: clone, to: place.dir, path: place.path },
    { op: 'close', slot: clone },
  ];
};
