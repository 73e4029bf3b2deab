import { resolve } from 'node:path';

import { MOUNT_ATTR_RDONLY } from '@tsc/sys';

import { OverlayError } from './errors.ts';

/** What to lay over what. Directories are host paths that the caller made; nothing in them is looked at. */
export interface OverlayRequest {
  /** The read-only layers, topmost first. */
  readonly lowerDirs: readonly string[];
  /** Takes every write. Without it the mount is read-only. */
  readonly upperDir?: string | undefined;
  /** An empty directory of the kernel's own, on the same file system as `upperDir` and given together with it. */
  readonly workDir?: string | undefined;
  /**
   * Never waits for the disk: fast, and worthless after a crash of the machine, so for what is thrown away at the end.
   * A later mount of the same `workDir` is refused until `forgetVolatile` says that all is well.
   */
  readonly volatile?: boolean | undefined;
  /** Keeps the file system's notes in `user.overlay.*` attributes; needed inside a user namespace. */
  readonly userxattr?: boolean | undefined;
  /** Refuses writes although there is an `upperDir`. */
  readonly readOnly?: boolean | undefined;
}

export type OverlaySetting =
  | { readonly type: 'flag'; readonly key: string }
  | { readonly type: 'string'; readonly key: string; readonly value: string }
  | DirSetting;

export interface DirSetting {
  readonly type: 'dir';
  readonly key: 'lowerdir+' | 'upperdir' | 'workdir';
  readonly dir: string;
}

/** `overlay`: options in the order they are given to the kernel. `bind`: one directory, which needs no overlay. */
export type OverlayPlan =
  | {
      readonly type: 'overlay';
      readonly settings: readonly OverlaySetting[];
      /** MOUNT_ATTR_* of the mount. */
      readonly attributes: number;
    }
  | { readonly type: 'bind'; readonly source: DirSetting; readonly readOnly: boolean };

/** The kernel's OVL_MAX_STACK. */
export const maxLowerDirs = 500;

/**
 * Behaviour that distributions build in differently. A layer must mean the same on every host, and attributes of a
 * hostile layer must not lead elsewhere: redirects are neither made nor followed, and a changed file is a whole file.
 * No index: it binds an upper directory to the inodes of one stack of layers.
 */
const fixedSettings: readonly OverlaySetting[] = [
  { type: 'string', key: 'source', value: 'overlay' },
  { type: 'string', key: 'redirect_dir', value: 'nofollow' },
  { type: 'string', key: 'metacopy', value: 'off' },
  { type: 'string', key: 'index', value: 'off' },
];

/**
 * Decides how to mount a request, without looking at the host.
 *
 * @throws {TypeError} a request that means nothing: no directory at all, `upperDir` without `workDir` or the reverse,
 *   `volatile` without `upperDir`
 * @throws {@link OverlayError} `OVERLAY_TOO_MANY_LAYERS`: more than the kernel's 500
 */
export function planOverlay(request: OverlayRequest): OverlayPlan {
  assertMeaningful(request);
  const { lowerDirs, upperDir, workDir } = request;
  const readOnly = upperDir === undefined || request.readOnly === true;
  const source = onlyDirectory(request);
  if (source !== undefined) return { type: 'bind', source, readOnly };
  return {
    type: 'overlay',
    settings: [
      ...fixedSettings,
      ...(request.userxattr === true ? [{ type: 'flag', key: 'userxattr' } as const] : []),
      ...(request.volatile === true ? [{ type: 'flag', key: 'volatile' } as const] : []),
      ...lowerDirs.map((dir) => dirSetting('lowerdir+', dir)),
      ...(upperDir === undefined ? [] : [dirSetting('upperdir', upperDir)]),
      ...(workDir === undefined ? [] : [dirSetting('workdir', workDir)]),
    ],
    attributes: readOnly ? MOUNT_ATTR_RDONLY : 0,
  };
}

const dirSetting = (key: DirSetting['key'], dir: string): DirSetting => ({
  type: 'dir',
  key,
  dir: resolve(dir),
});

/** The kernel wants two lower directories or an upper one besides; less than that is no stack. */
function onlyDirectory({ lowerDirs, upperDir }: OverlayRequest): DirSetting | undefined {
  const [top] = lowerDirs;
  if (upperDir !== undefined) return top === undefined ? dirSetting('upperdir', upperDir) : undefined;
  return top !== undefined && lowerDirs.length === 1 ? dirSetting('lowerdir+', top) : undefined;
}

function assertMeaningful({ lowerDirs, upperDir, workDir, volatile }: OverlayRequest): void {
  if (lowerDirs.length === 0 && upperDir === undefined)
    throw new TypeError('an overlay needs lowerDirs or an upperDir');
  if ((upperDir === undefined) !== (workDir === undefined)) {
    throw new TypeError('upperDir and workDir are given together or not at all');
  }
  if (volatile === true && upperDir === undefined)
    throw new TypeError('volatile is about writes, which need an upperDir');
  if (lowerDirs.length > maxLowerDirs) {
    throw new OverlayError(
      'OVERLAY_TOO_MANY_LAYERS',
      `cannot mount ${lowerDirs.length} layers: the kernel takes ${maxLowerDirs} at most`,
    );
  }
}
