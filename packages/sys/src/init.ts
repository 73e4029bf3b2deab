import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

import { prebuiltUrl } from './binding.ts';
import { hasCode } from './errors.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_ADD_SEALS,
  F_SEAL_ALL,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  O_CLOEXEC,
  fcntl,
  memfd_create,
} from './file.ts';
import { MOUNT_ATTR_RDONLY, OPEN_TREE_CLONE, mount_setattr, open_tree } from './mount.ts';
import { spawn } from './process.ts';
import type { SpawnedProcess } from './process.ts';
import { AF_UNIX, SOCK_STREAM, socketpair } from './socket.ts';
import { encodeProgram } from './start-program.ts';
import type { StartProgram } from './start-program.ts';

let executable: number | undefined;
let nullDevice: number | undefined;

/**
 * tsc-init as a sealed memfd. A container's process can reach the file that its init came from (`/proc/self/exe`); a
 * sealed copy in memory is one that nobody can write to, so the file on disk is out of reach (CVE-2019-5736).
 */
function sealedExecutable(): number {
  if (executable !== undefined) return executable;
  const writable = memfd_create('tsc-init', MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  writeSync(writable, readFileSync(prebuiltUrl('tsc-init')));
  fcntl(writable, F_ADD_SEALS, F_SEAL_ALL);
  // A file that anybody holds open for writing can't be executed (ETXTBSY), so it is opened anew.
  executable = openSync(`/proc/self/fd/${writable}`, 'r');
  closeSync(writable);
  return executable;
}

/**
 * The null device through a read-only mount of its own. It becomes a container's standard input, and root of a container
 * could otherwise change the mode or owner of the host's `/dev/null` by `chmod /dev/stdin`. Who may not mount may not
 * give root of the host away either.
 */
function safeNullDevice(): number {
  if (nullDevice !== undefined) return nullDevice;
  using mounted = new DisposableStack();
  let path = '/dev/null';
  try {
    const clone = mounted.adopt(open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC), closeSync);
    mount_setattr(clone, '', AT_EMPTY_PATH, { attrSet: MOUNT_ATTR_RDONLY });
    path = `/proc/self/fd/${clone}`;
  } catch (error) {
    if (!hasCode(error, 'EPERM')) throw error;
  }
  nullDevice = openSync(path, 'r+');
  return nullDevice;
}

/** A started tsc-init. `controlFd` is our end of its socket: frames as in `monitor-frame.ts`, end of file at its end. */
export interface InitProcess extends SpawnedProcess {
  readonly controlFd: number;
}

export interface SpawnInitOptions {
  readonly program: StartProgram;
  /** The program's slots 0, 1, …; ours stay open. */
  readonly fds: readonly number[];
  /** Standard streams of tsc-init itself, for a program that lets the child inherit them; `/dev/null` otherwise. */
  readonly stdio?: readonly [number, number, number] | undefined;
  /** Shown by `ps` after `tsc-init`. */
  readonly label?: string | undefined;
}

/**
 * Starts tsc-init with a start program and returns at once; what becomes of it is told over `controlFd`.
 *
 * @throws SysError when not even the process could be made
 */
export function spawnInit(options: SpawnInitOptions): InitProcess {
  const [stdin, stdout, stderr] = options.stdio ?? [safeNullDevice(), safeNullDevice(), safeNullDevice()];
  const programFd = memfd_create('start-program', MFD_CLOEXEC);
  const [ours, theirs] = socketpair(AF_UNIX, SOCK_STREAM, 0);
  try {
    writeSync(programFd, encodeProgram(options.program));
    const argv = options.label === undefined ? ['tsc-init'] : ['tsc-init', options.label];
    const fds = [stdin, stdout, stderr, programFd, theirs, ...options.fds];
    return { ...spawn({ executable: sealedExecutable(), argv, fds }), controlFd: ours };
  } catch (error) {
    closeSync(ours);
    throw error;
  } finally {
    closeSync(programFd);
    closeSync(theirs);
  }
}
