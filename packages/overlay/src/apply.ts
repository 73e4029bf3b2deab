import { closeSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  MS_RDONLY,
  O_CLOEXEC,
  O_PATH,
  OPEN_TREE_CLONE,
  fsconfig,
  fsmount,
  fsopen,
  mount,
  mount_setattr,
  open_tree,
  openat2,
  umount2,
  type MountAttr,
} from '@tsc/sys';

import { directoryFailure, mountFailure } from './diagnosis.ts';
import { isOverlayError, refusal } from './errors.ts';
import { overlayMountData } from './mount-data.ts';
import type { DirSetting, OverlayPlan, OverlaySetting } from './plan.ts';

export type StackPlan = Extract<OverlayPlan, { type: 'overlay' }>;
export type BindPlan = Extract<OverlayPlan, { type: 'bind' }>;

/** Makes the mount through a file system context, one option at a time. Returns its descriptor. */
export function mountByContext({ settings, attributes }: StackPlan): number {
  using held = new DisposableStack();
  const context = held.adopt(openContext(), closeSync);
  for (const setting of settings) applySetting(context, setting, held);
  try {
    fsconfig(context, FSCONFIG_CMD_CREATE);
  } catch (cause) {
    throw mountFailure(settings, cause);
  }
  return fsmount(context, 0, attributes);
}

/**
 * Makes the mount with mount(2), for kernels before 6.7, which take all layers in one option: attaches it to a private
 * directory for a moment, takes a descriptor of a copy and unmounts it again. Returns the descriptor.
 */
export function mountByData({ settings, attributes }: StackPlan): number {
  using held = new DisposableStack();
  const target = held.adopt(mkdtempSync(join(tmpdir(), 'tsc-overlay-')), rmdirSync);
  try {
    const data = overlayMountData(settings, (dir) => nameByDescriptor(dir, held));
    mount('overlay', target, 'overlay', (attributes & MOUNT_ATTR_RDONLY) === 0 ? 0 : MS_RDONLY, data);
  } catch (cause) {
    throw isOverlayError(cause) ? cause : mountFailure(settings, cause);
  }
  held.defer(() => umount2(target, MNT_DETACH));
  return cloneTree({ type: 'dir', key: 'upperdir', dir: target }, { propagation: MS_PRIVATE });
}

/** A detached mount of one directory as it is, with the attributes that an overlay of it would have. */
export function cloneDirectory({ source, readOnly }: BindPlan): number {
  const attributes = { attrSet: readOnly ? MOUNT_ATTR_RDONLY : 0, propagation: MS_PRIVATE };
  // A mount of /var with nosuid must not disarm the setuid programs of a container.
  const attrClr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  try {
    return cloneTree(source, { ...attributes, attrClr });
  } catch (error) {
    // In a user namespace those attributes are locked.
    if (!isOverlayError(error) || error.errno !== 'EPERM') throw error;
    return cloneTree(source, attributes);
  }
}

function cloneTree(source: DirSetting, attributes: MountAttr): number {
  using undo = new DisposableStack();
  let fd: number;
  try {
    fd = undo.adopt(open_tree(AT_FDCWD, `${source.dir}/.`, OPEN_TREE_CLONE | O_CLOEXEC), closeSync);
    mount_setattr(fd, '', AT_EMPTY_PATH, attributes);
  } catch (cause) {
    throw directoryFailure(source, cause);
  }
  undo.move();
  return fd;
}

/** @throws {@link OverlayError} `OVERLAY_UNSUPPORTED` or `OVERLAY_NOT_PERMITTED` */
export function openContext(): number {
  try {
    return fsopen('overlay');
  } catch (cause) {
    throw refusal('cannot open an overlay file system', undefined, cause);
  }
}

function applySetting(context: number, setting: OverlaySetting, held: DisposableStack): void {
  switch (setting.type) {
    case 'flag':
      configure(setting.key, () => fsconfig(context, FSCONFIG_SET_FLAG, setting.key));
      break;
    case 'string':
      configure(setting.key, () => fsconfig(context, FSCONFIG_SET_STRING, setting.key, setting.value));
      break;
    case 'dir':
      addDirectory(context, setting, held);
  }
}

function addDirectory(context: number, setting: DirSetting, held: DisposableStack): void {
  try {
    const { key, dir } = setting;
    fsconfig(context, FSCONFIG_SET_STRING, key, isPlain(dir) ? dir : nameByDescriptor(dir, held));
  } catch (cause) {
    throw directoryFailure(setting, cause);
  }
}

function configure(key: string, set: () => void): void {
  try {
    set();
  } catch (cause) {
    throw refusal(`cannot set overlay option ${key}`, undefined, cause);
  }
}

/** fsconfig takes 255 bytes, and overlay gives `\`, `:` and `,` a meaning in some options of some kernels. */
const isPlain = (dir: string): boolean => Buffer.byteLength(dir) <= 255 && !/[\\:,]/.test(dir);

function nameByDescriptor(dir: string, held: DisposableStack): string {
  return `/proc/self/fd/${held.adopt(openat2(AT_FDCWD, dir, { flags: O_PATH | O_CLOEXEC }), closeSync)}`;
}
