import { constants, type BigIntStats } from 'node:fs';

import { fgetxattr, fsetxattr, hasCode, lgetxattr, mknodat } from '@tsc/sys';

/** Where the file system keeps its marks: in `user.overlay.*` for mounts with `userxattr`, else in `trusted.overlay.*`. */
export interface MarkOptions {
  readonly userxattr?: boolean | undefined;
}

const markName = (mark: string, { userxattr }: MarkOptions): string =>
  `${userxattr === true ? 'user' : 'trusted'}.overlay.${mark}`;

/** True for the device 0:0, by which a layer says that a name of the layers below is gone. */
export const isWhiteout = ({ mode, rdev }: Pick<BigIntStats, 'mode' | 'rdev'>): boolean =>
  (Number(mode) & constants.S_IFMT) === constants.S_IFCHR && rdev === 0n;

/**
 * Makes a whiteout of `name` in a layer's directory.
 *
 * @throws the SysError of mknodat(2)
 * @remarks Privilege: none since Linux 5.8; the user namespace must own the file system's mount.
 */
export function createWhiteout(dirFd: number, name: string): void {
  mknodat(dirFd, name, constants.S_IFCHR);
}

/**
 * Makes a layer's directory opaque: nothing of the layers below shows in it.
 *
 * @throws the SysError of fsetxattr(2)
 * @remarks Privilege: CAP_SYS_ADMIN in the initial user namespace, or none with `userxattr`.
 */
export function markOpaque(dirFd: number, options: MarkOptions = {}): void {
  fsetxattr(dirFd, markName('opaque', options), Buffer.from('y'));
}

/** `y`: nothing below shows. `x`: whiteouts in here may be marked empty files, as an overlay on an overlay has them. */
export const opacityOf = (dirFd: number, options: MarkOptions = {}): string | undefined =>
  absentAsUndefined(() => fgetxattr(dirFd, markName('opaque', options)).toString());

/** Whether the entry was copied up from a layer below and not made new. */
export const hasOrigin = (path: string, options: MarkOptions): boolean => hasMark(path, 'origin', options);

/** The other form of a whiteout; it counts only in a directory whose opacity is `x`. */
export const isMarkedWhiteout = (path: string, options: MarkOptions): boolean => hasMark(path, 'whiteout', options);

const hasMark = (path: string, mark: string, options: MarkOptions): boolean =>
  absentAsUndefined(() => lgetxattr(path, markName(mark, options))) !== undefined;

function absentAsUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (hasCode(error, 'ENODATA', 'EOPNOTSUPP', 'ENOENT')) return undefined;
    throw error;
  }
}
