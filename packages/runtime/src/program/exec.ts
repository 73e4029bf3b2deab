import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, O_PATH } from '@tsc/sys';
import type { KeepSettings, Operation, Slot, StartProgram } from '@tsc/sys';

import type { OciProcess } from '../oci-spec.ts';
import { DEVPTS_SUPER_MAGIC } from './mounts.ts';
import { compileProcess } from './process.ts';
import type { ProcessOptions } from './process.ts';
import { Slots } from './slots.ts';
import type { CgroupEntry } from './start.ts';

export interface ExecContext {
  readonly inherited: number;
  /** A pidfd of the container's first process. */
  readonly target: Slot;
  readonly cgroup?: Pick<CgroupEntry, 'joinTargets' | 'directory'> | undefined;
  readonly keep: KeepSettings;
  readonly seccomp?: ProcessOptions['seccomp'];
  readonly windowSize?: { readonly rows: number; readonly columns: number } | undefined;
}

function compileTerminal(slots: Slots, windowSize: ExecContext['windowSize']): Operation[] {
  const devpts = slots.take();
  const slave = slots.take();
  const { rows = 0, columns = 0 } = windowSize ?? {};
  return [
    { op: 'open', slot: devpts, path: '/dev/pts', flags: O_PATH },
    // The container may have put anything there by now.
    { op: 'verifyFs', fd: devpts, magic: DEVPTS_SUPER_MAGIC },
    { op: 'terminal', devpts, slot: slave, rows, columns },
  ];
}

/**
 * Compiles a further process of a running container: the same namespaces, cgroups and filter as its first. Nothing of
 * the container is run or read on the way; after the `setns` of its mounts there are only system calls.
 *
 * @throws RuntimeError `RUNTIME_INVALID_SPEC`
 */
export function compileExec(process: OciProcess, context: ExecContext): StartProgram {
  const slots = new Slots(context.inherited);
  const { cgroup, target } = context;
  const terminal = process.terminal === true;
  return {
    inherited: context.inherited,
    operations: [
      { op: 'keep', ...context.keep, terminal },
      { op: 'setns', fd: target, nstype: CLONE_NEWPID },
      { op: 'clone', flags: 0, ...(cgroup?.directory === undefined ? {} : { cgroup: cgroup.directory }) },
      ...(cgroup?.joinTargets ?? []).map(({ path, data }): Operation => ({ op: 'writeFile', path, data })),
      { op: 'setns', fd: target, nstype: CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP },
      ...(terminal ? compileTerminal(slots, context.windowSize) : []),
      ...compileProcess(process, { seccomp: context.seccomp }),
    ],
  };
}
