import { closeSync } from 'node:fs';
import { release } from 'node:os';

import { FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, fsconfig, hasCode } from '@tsc/sys';

import { openContext } from './apply.ts';
import { isOverlayError } from './errors.ts';
import { maxLowerDirs } from './plan.ts';

/** What this kernel's overlay file system can do. */
export interface OverlayFacts {
  /** There is one. */
  readonly overlay: boolean;
  /** Layers are given one by one (Linux 6.7), so that a page of options is no limit to their number. */
  readonly lowerdirPlus: boolean;
  /** Mounts that never wait for the disk (Linux 5.10). */
  readonly volatile: boolean;
  /** Attributes in `user.overlay.*`, so that a user namespace can mount one (Linux 5.11). */
  readonly userxattr: boolean;
  /** The option is known (Linux 4.19), so it can be switched off. */
  readonly metacopy: boolean;
  readonly maxLowerDirs: number;
}

/**
 * Asks the kernel, without a mount: options are given to a file system context that is thrown away.
 *
 * @throws {@link OverlayError} `OVERLAY_NOT_PERMITTED`: no CAP_SYS_ADMIN in this mount namespace's user namespace
 */
export function probeOverlay(): OverlayFacts {
  try {
    return parsesOptions() ? parsedFacts() : versionFacts(release());
  } catch (error) {
    if (!isOverlayError(error) || error.code !== 'OVERLAY_UNSUPPORTED') throw error;
    return { overlay: false, lowerdirPlus: false, volatile: false, userxattr: false, metacopy: false, maxLowerDirs: 0 };
  }
}

/** Whether layers can be given one by one. */
export const knowsLowerdirPlus = (): boolean => parsesOptions() && takes('lowerdir+', '/');

/** Before Linux 6.5 a context takes any word, and only a mount finds out whether it means something. */
const parsesOptions = (): boolean => !takes('no_such_option');

const parsedFacts = (): OverlayFacts => ({
  overlay: true,
  lowerdirPlus: takes('lowerdir+', '/'),
  volatile: takes('volatile'),
  userxattr: takes('userxattr'),
  metacopy: takes('metacopy', 'off'),
  maxLowerDirs,
});

/** What a kernel that does not parse its options has, by its version. */
export function versionFacts(kernelRelease: string): OverlayFacts {
  const [major = 0, minor = 0] = kernelRelease.split(/[.-]/).map(Number);
  const since = (wantedMajor: number, wantedMinor: number): boolean =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return {
    overlay: true,
    lowerdirPlus: false,
    volatile: since(5, 10),
    userxattr: since(5, 11),
    metacopy: since(4, 19),
    maxLowerDirs,
  };
}

function takes(key: string, value?: string): boolean {
  const context = openContext();
  try {
    fsconfig(context, value === undefined ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value ?? null);
    return true;
  } catch (error) {
    if (hasCode(error, 'EINVAL')) return false;
    throw error;
  } finally {
    closeSync(context);
  }
}
