import { native } from './binding.ts';

export const MS_RDONLY: number = 1;
export const MS_NOSUID: number = 2;
export const MS_NODEV: number = 4;
export const MS_NOEXEC: number = 8;
export const MS_REMOUNT: number = 32;
export const MS_BIND: number = 4096;
export const MS_REC: number = 16384;
export const MS_UNBINDABLE: number = 1 << 17;
export const MS_PRIVATE: number = 1 << 18;
export const MS_SLAVE: number = 1 << 19;
export const MS_SHARED: number = 1 << 20;
export const MNT_DETACH: number = 2;
export const UMOUNT_NOFOLLOW: number = 8;

export const FSCONFIG_SET_FLAG: number = 0;
export const FSCONFIG_SET_STRING: number = 1;
export const FSCONFIG_SET_FD: number = 5;
export const FSCONFIG_CMD_CREATE: number = 6;
export const FSCONFIG_CMD_RECONFIGURE: number = 7;

export const OPEN_TREE_CLONE: number = 1;
export const MOVE_MOUNT_F_EMPTY_PATH: number = 0x04;
export const MOVE_MOUNT_T_EMPTY_PATH: number = 0x40;

export const MOUNT_ATTR_RDONLY: number = 0x01;
export const MOUNT_ATTR_NOSUID: number = 0x02;
export const MOUNT_ATTR_NODEV: number = 0x04;
export const MOUNT_ATTR_NOEXEC: number = 0x08;
export const MOUNT_ATTR_NOATIME: number = 0x10;
export const MOUNT_ATTR_STRICTATIME: number = 0x20;
export const MOUNT_ATTR__ATIME: number = 0x70;
export const MOUNT_ATTR_NODIRATIME: number = 0x80;
export const MOUNT_ATTR_IDMAP: number = 0x100000;
export const MOUNT_ATTR_NOSYMFOLLOW: number = 0x200000;

export const mount = (
  source: string | null,
  target: string,
  filesystemtype: string | null,
  mountflags: number,
  data: string | null,
): void => {
  native().mount(source, target, filesystemtype, mountflags, data);
};

export const umount2 = (target: string, flags: number): void => {
  native().umount2(target, flags);
};

/** Opens a file system context; configure it with {@link fsconfig}, then make a mount of it with {@link fsmount}. */
export const fsopen = (fsname: string, flags: number = 0): number => native().fsopen(fsname, flags);

/**
 * One setting or command of a file system context. `value` is the string of FSCONFIG_SET_STRING; `aux` the descriptor
 * of FSCONFIG_SET_FD. The kernel's own explanation, read from the context, is in the thrown error's message.
 */
export const fsconfig = (
  fd: number,
  cmd: number,
  key: string | null = null,
  value: string | null = null,
  aux: number = 0,
): void => {
  native().fsconfig(fd, cmd, key, value, aux);
};

/** Makes a detached mount: a descriptor to walk below or to attach with {@link move_mount}. It ends when closed. */
export const fsmount = (fd: number, flags: number, attrFlags: number): number => native().fsmount(fd, flags, attrFlags);

export const move_mount = (
  fromDirfd: number,
  fromPathname: string,
  toDirfd: number,
  toPathname: string,
  flags: number,
): void => {
  native().move_mount(fromDirfd, fromPathname, toDirfd, toPathname, flags);
};

export const open_tree = (dirfd: number, pathname: string, flags: number): number =>
  native().open_tree(dirfd, pathname, flags);

export interface MountAttr {
  readonly attrSet?: number | undefined;
  readonly attrClr?: number | undefined;
  readonly propagation?: number | undefined;
  readonly usernsFd?: number | undefined;
}

export const mount_setattr = (dirfd: number, pathname: string, flags: number, attr: MountAttr): void => {
  native().mount_setattr(
    dirfd,
    pathname,
    flags,
    attr.attrSet ?? 0,
    attr.attrClr ?? 0,
    attr.propagation ?? 0,
    attr.usernsFd ?? 0,
  );
};

/** Changes the root mount of the calling process: of use in a helper process, ruinous in Node's own. */
export const pivot_root = (newRoot: string, putOld: string): void => {
  native().pivot_root(newRoot, putOld);
};
