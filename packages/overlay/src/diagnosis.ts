import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { hasCode } from '@tsc/sys';

import { OverlayError, refusal } from './errors.ts';
import type { DirSetting, OverlaySetting } from './plan.ts';

/** What to say when the kernel refuses one directory. Some kernels call what is no directory merely invalid. */
export function directoryFailure({ key, dir }: DirSetting, cause: unknown): OverlayError {
  if (!hasCode(cause, 'ENOENT', 'ENOTDIR') && isDirectory(dir)) {
    return refusal(`cannot use a directory as ${key}`, dir, cause);
  }
  return key === 'lowerdir+'
    ? new OverlayError('OVERLAY_LAYER_MISSING', `cannot mount a layer: ${dir}: no such directory`, { path: dir, cause })
    : new OverlayError('OVERLAY_DIR_MISSING', `cannot use as ${key}: ${dir}: no such directory`, { path: dir, cause });
}

/** What to say when the kernel refuses the whole: mostly it tells its log why, and the caller EINVAL. */
export function mountFailure(settings: readonly OverlaySetting[], cause: unknown): OverlayError {
  const dirs = settings.filter((setting) => setting.type === 'dir');
  const missing = dirs.find(({ dir }) => !isDirectory(dir));
  if (missing !== undefined) return directoryFailure(missing, cause);
  const upperDir = dirs.find(({ key }) => key === 'upperdir')?.dir;
  const workDir = dirs.find(({ key }) => key === 'workdir')?.dir;
  if (upperDir === undefined || workDir === undefined || !hasCode(cause, 'EINVAL')) {
    return refusal('cannot mount an overlay', upperDir, cause);
  }
  if (existsSync(volatileMark(workDir))) {
    const message = `cannot mount an overlay: ${workDir}: its last mount was volatile, so a crash may have lost files`;
    return new OverlayError('OVERLAY_VOLATILE_UNCLEAN', message, { path: workDir, cause });
  }
  if (statSync(upperDir).dev !== statSync(workDir).dev) {
    const message = `cannot mount an overlay: ${workDir}: is not on the file system of ${upperDir}`;
    return new OverlayError('OVERLAY_REFUSED', message, { path: workDir, cause });
  }
  return refusal('cannot mount an overlay', upperDir, cause);
}

/** What the kernel leaves below a `workDir` for as long as nobody has vouched for the upper directory. */
export const volatileMark = (workDir: string): string => join(workDir, 'work', 'incompat', 'volatile');

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
