import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS } from '@tsc/sys';
import { describe, expect, it } from '@jest/globals';

import { defaultSpec } from '../default-spec.ts';
import type { OciProcess } from '../oci-spec.ts';
import { compileExec } from './exec.ts';
import type { ExecContext } from './exec.ts';
import { compileStart } from './start.ts';

const context: ExecContext = { inherited: 1, target: 0, keep: { attached: true } };
const seccomp = { filter: new Uint8Array(8), flags: 0 };
const processOf = (more: Partial<OciProcess> = {}): OciProcess => ({
  user: { uid: 0, gid: 0 },
  cwd: '/',
  ...defaultSpec({ args: ['sh'] }).process,
  ...more,
});

describe('the start program of an exec', () => {
  it('enters the pid namespace before it clones, its cgroups before the other namespaces', () => {
    const cgroup = { joinTargets: [{ path: '/c/tasks', data: '0' }], directory: 1 };
    const { operations, inherited } = compileExec(processOf(), { ...context, inherited: 2, cgroup });
    expect(inherited).toBe(2);
    expect(operations.slice(0, 5)).toEqual([
      { op: 'keep', attached: true, terminal: false },
      { op: 'setns', fd: 0, nstype: CLONE_NEWPID },
      { op: 'clone', flags: 0, cgroup: 1 },
      { op: 'writeFile', path: '/c/tasks', data: '0' },
      { op: 'setns', fd: 0, nstype: CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP },
    ]);
  });

  it.each([false, true])('ends as that of the first process does (no new privileges: %s)', (noNewPrivileges) => {
    const spec = defaultSpec({ args: ['sh'], noNewPrivileges });
    const start = compileStart(spec, { inherited: 1, rootfs: 0, scratchDir: '/s', keep: {}, seccomp }).operations;
    const exec = compileExec(processOf({ noNewPrivileges }), { ...context, seccomp }).operations;
    expect(exec.slice(3)).toEqual(
      exec.slice(3, 4).concat(start.slice(start.findIndex(({ op }) => op === 'pivotRoot') + 1)),
    );
  });

  it('makes a terminal only in what really is a devpts', () => {
    const { operations } = compileExec(processOf({ terminal: true }), {
      ...context,
      windowSize: { rows: 5, columns: 6 },
    });
    expect(operations.slice(4, 7)).toEqual([
      { op: 'open', slot: 1, path: '/dev/pts', flags: 0o10000000 },
      { op: 'verifyFs', fd: 1, magic: 0x1cd1 },
      { op: 'terminal', devpts: 1, slot: 2, rows: 5, columns: 6 },
    ]);
  });

  it('needs a command', () => {
    expect(() => compileExec(processOf({ args: [] }), context)).toThrow('no command specified');
  });
});
