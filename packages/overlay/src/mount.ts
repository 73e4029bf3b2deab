import { closeSync, rmSync } from 'node:fs';

import { AT_FDCWD, MNT_DETACH, MOVE_MOUNT_F_EMPTY_PATH, UMOUNT_NOFOLLOW, move_mount, umount2 } from '@tsc/sys';

import { cloneDirectory, mountByContext, mountByData, type StackPlan } from './apply.ts';
import { volatileMark } from './diagnosis.ts';
import { isOverlayError, refusal } from './errors.ts';
import { knowsLowerdirPlus, type OverlayFacts } from './facts.ts';
import { planOverlay, type OverlayRequest } from './plan.ts';

export interface MountOptions {
  /** What {@link probeOverlay} found. Without it the newest interface is tried first. */
  readonly facts?: Pick<OverlayFacts, 'lowerdirPlus'> | undefined;
}

/**
 * Mounts layers over each other. The mount is in no mount table: it is reached below its descriptor, is given to
 * another process as that descriptor, and ends with the last one of them, or is put in the table with `attach`.
 *
 * A single layer without an upper directory, or an upper directory without layers, needs no overlay and is mounted as
 * it is. Setuid programs and device nodes in the layers work; attach with care where others can reach it.
 *
 * @throws {TypeError} a request that means nothing, see {@link planOverlay}
 * @throws {@link OverlayError} `OVERLAY_LAYER_MISSING`: one of `lowerDirs` is no directory; `path` says which
 * @throws {@link OverlayError} `OVERLAY_DIR_MISSING`: `upperDir` or `workDir` is no directory
 * @throws {@link OverlayError} `OVERLAY_TOO_MANY_LAYERS`: over 500, or over what a kernel before 6.7 can take
 * @throws {@link OverlayError} `OVERLAY_VOLATILE_UNCLEAN`: `workDir` served a volatile mount, see {@link forgetVolatile}
 * @throws {@link OverlayError} `OVERLAY_UNSUPPORTED`: the kernel has no overlay file system
 * @throws {@link OverlayError} `OVERLAY_NOT_PERMITTED`: no CAP_SYS_ADMIN in this mount namespace's user namespace
 * @throws {@link OverlayError} `OVERLAY_REFUSED`: anything else the kernel objects to, with its own explanation
 * @see https://docs.kernel.org/filesystems/overlayfs.html
 * @example using root = mountOverlay({ lowerDirs: ['/layers/app', '/layers/base'], upperDir, workDir });
 */
export function mountOverlay(request: OverlayRequest, { facts }: MountOptions = {}): OverlayMount {
  const plan = planOverlay(request);
  if (plan.type === 'bind') return new OverlayMount(cloneDirectory(plan));
  if (facts?.lowerdirPlus === false) return new OverlayMount(mountByData(plan));
  return new OverlayMount(mountByContextOrData(plan));
}

function mountByContextOrData(plan: StackPlan): number {
  try {
    return mountByContext(plan);
  } catch (error) {
    // An old kernel says no more than EINVAL to `lowerdir+`; a new one means what it says.
    if (!isOverlayError(error) || error.errno !== 'EINVAL' || knowsLowerdirPlus()) throw error;
    return mountByData(plan);
  }
}

/**
 * Lets the next mount have a `workDir` that a volatile mount has used, by removing the kernel's mark. Right when the
 * machine has not crashed since; after a crash, discard the upper directory instead.
 *
 * @param workDir - as it was given to {@link mountOverlay}; nothing happens without a mark
 */
export function forgetVolatile(workDir: string): void {
  rmSync(volatileMark(workDir), { recursive: true, force: true });
}

/** A mount that is held by a descriptor, and after `attach` also by the mount table. */
export class OverlayMount {
  #fd: number | undefined;
  #attachedTo: string | undefined;

  /** @param fd - a descriptor of the mount's root, which this object closes */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The root directory of the mount. Open what lies below with `openat2(fd, path, { resolve: RESOLVE_IN_ROOT })`. */
  get fd(): number {
    if (this.#fd === undefined) throw new TypeError('the overlay mount is closed');
    return this.#fd;
  }

  /** Where `attach` put the mount. */
  get attachedTo(): string | undefined {
    return this.#attachedTo;
  }

  /**
   * Puts the mount in the mount table of this process, over `targetDir`. It then outlives its descriptor.
   *
   * @throws {@link OverlayError} `OVERLAY_DIR_MISSING`: `targetDir` is no directory
   * @throws {@link OverlayError} `OVERLAY_REFUSED`: it was attached before
   */
  attach(targetDir: string): void {
    try {
      move_mount(this.fd, '', AT_FDCWD, targetDir, MOVE_MOUNT_F_EMPTY_PATH);
    } catch (cause) {
      throw refusal('cannot attach the overlay mount', targetDir, cause);
    }
    this.#attachedTo = targetDir;
  }

  /** Takes the mount out of the mount table now; what others have open in it stays usable to them. Closes `fd`. */
  detach(): void {
    if (this.#attachedTo !== undefined) {
      // By descriptor while there is one, so that a directory that was renamed meanwhile is found.
      umount(this.#fd === undefined ? this.#attachedTo : `/proc/self/fd/${this.#fd}`, MNT_DETACH);
      this.#attachedTo = undefined;
    }
    this.close();
  }

  /**
   * Takes the mount out of the mount table if nobody uses it any more. Closes `fd`, which would be such a use.
   *
   * @throws {@link OverlayError} `OVERLAY_BUSY`: somebody does; the mount stays attached, and this may be tried again
   */
  unmount(): void {
    this.close();
    if (this.#attachedTo === undefined) return;
    umount(this.#attachedTo, UMOUNT_NOFOLLOW);
    this.#attachedTo = undefined;
  }

  /** Closes the descriptor: the end of a mount that nobody else holds and that is not attached. Twice is fine. */
  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Leaves nothing behind: {@link detach}. To leave an attached mount where it is, `close` it and do not say `using`. */
  [Symbol.dispose](): void {
    this.detach();
  }
}

function umount(target: string, flags: number): void {
  try {
    umount2(target, flags);
  } catch (cause) {
    throw refusal('cannot unmount the overlay', target, cause);
  }
}
