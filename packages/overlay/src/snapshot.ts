import { chmodSync, chownSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { refusal } from './errors.ts';

/** The two directories that a writable overlay needs. */
export interface Snapshot {
  readonly upperDir: string;
  readonly workDir: string;
}

export interface SnapshotOptions {
  /** Permissions of the mount's root directory, which are those of `upperDir`. Default 0o755. */
  readonly mode?: number | undefined;
  /** Owner of the mount's root directory. Default: the caller. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Makes `upper` and `work` in `dir`, and `dir` itself where it is missing, whatever the umask is.
 *
 * `dir` gets mode 0700 when it is made here: users of the host must not reach setuid programs of a container by the
 * host's paths. One that is there already keeps its mode, and should be so too.
 *
 * @throws {@link OverlayError} `OVERLAY_DIR_EXISTS`: there is an `upper` or `work` already
 * @throws {@link OverlayError} `OVERLAY_DIR_MISSING`: the directory that `dir` lies in does not exist
 */
export function createSnapshot(dir: string, { mode = 0o755, owner }: SnapshotOptions = {}): Snapshot {
  using undo = new DisposableStack();
  const make = (path: string, permissions: number): string => {
    try {
      mkdirSync(path, 0o700);
    } catch (cause) {
      throw refusal('cannot make a snapshot', path, cause);
    }
    undo.defer(() => rmdirSync(path));
    chmodSync(path, permissions);
    return path;
  };
  if (!isDirectory(dir)) make(dir, 0o700);
  const upperDir = make(join(dir, 'upper'), mode);
  if (owner !== undefined) chownSync(upperDir, owner.uid, owner.gid);
  const workDir = make(join(dir, 'work'), 0o700);
  undo.move();
  return { upperDir, workDir };
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
