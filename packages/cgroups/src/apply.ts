import { closeSync, openSync, constants } from 'node:fs';

import {
  BPF_CGROUP_DEVICE,
  BPF_F_ALLOW_MULTI,
  BPF_PROG_TYPE_CGROUP_DEVICE,
  bpf_prog_attach,
  bpf_prog_load,
} from '@tsc/sys';

import { CgroupError, errnoOf, isCgroupError } from './errors.ts';
import { readOptional, writeInterfaceFile } from './interface-file.ts';
import type { CgroupDeviceProgram, CgroupStep, CgroupWrite } from './step.ts';

/** Performs steps in order; what is done when one fails stays done. */
export function applySteps(steps: readonly CgroupStep[]): void {
  for (const step of steps) applyStep(step);
}

/**
 * Performs steps in order; when one fails, writes back what the restorable ones before it found, last first. A failed
 * restoration comes as a SuppressedError with both.
 */
export function applyStepsOrRestore(steps: readonly CgroupStep[]): void {
  using undo = new DisposableStack();
  for (const step of steps) {
    const found = step.type === 'write' && step.restorable ? readOptional(step.path)?.trim() : undefined;
    applyStep(step);
    if (step.type === 'write' && found !== undefined) {
      undo.defer(() => {
        writeInterfaceFile(step.path, found);
      });
    }
  }
  undo.move();
}

function applyStep(step: CgroupStep): void {
  if (step.type === 'write') applyWrite(step);
  else attachDeviceProgram(step);
}

function applyWrite({ path, data, fallback }: CgroupWrite): void {
  try {
    writeInterfaceFile(path, data);
  } catch (error) {
    if (fallback === undefined || !isCgroupError(error) || error.errno !== 'ENOENT') throw error;
    applyWrite(fallback);
  }
}

function attachDeviceProgram({ directory, instructions }: CgroupDeviceProgram): void {
  using opened = new DisposableStack();
  try {
    const target = opened.adopt(openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY), closeSync);
    const program = opened.adopt(bpf_prog_load(BPF_PROG_TYPE_CGROUP_DEVICE, instructions, 'Apache-2.0'), closeSync);
    // ALLOW_MULTI: a manager above, or a container manager inside, may have programs of its own; all must allow.
    bpf_prog_attach(target, program, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI);
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new CgroupError('CGROUP_WRITE_REFUSED', `cannot attach device rules to ${directory}: ${String(errno)}`, {
      path: directory,
      errno,
      cause,
    });
  }
}
