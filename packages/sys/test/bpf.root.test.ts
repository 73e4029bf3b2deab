import { readFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import * as sys from '../src/index.ts';
import { runShell } from './program.ts';
import { owned, thrownBy } from './temporary-directory.ts';

describeRoot('device programs of a cgroup', () => {
  const load = (...instructions: string[]): number =>
    sys.bpf_prog_load(sys.BPF_PROG_TYPE_CGROUP_DEVICE, Buffer.from(instructions.join(''), 'hex'), 'Apache-2.0');
  const deny = 'b700000000000000';
  const exit = '9500000000000000';

  it('decide what a process in it may open', () => {
    using context = owned(sys.fsopen('cgroup2'));
    sys.fsconfig(context.fd, sys.FSCONFIG_CMD_CREATE);
    using hierarchy = owned(sys.fsmount(context.fd, 0, 0));
    const name = `tsc-sys-${String(process.pid)}`;
    sys.mkdirat(hierarchy.fd, name, 0o755);
    using cleanup = new DisposableStack();
    cleanup.defer(() => {
      sys.unlinkat(hierarchy.fd, name, sys.AT_REMOVEDIR);
    });
    using cgroup = owned(sys.openat2(hierarchy.fd, name, { flags: 0 }));
    using procs = owned(sys.openat2(cgroup.fd, 'cgroup.procs', { flags: 1 }));
    using program = owned(load(deny, exit));
    sys.bpf_prog_attach(cgroup.fd, program.fd, sys.BPF_CGROUP_DEVICE, sys.BPF_F_ALLOW_MULTI);
    const { output } = runShell('echo 0 >&3; : </dev/null', [procs.fd]);
    expect(output).toMatch(/\/dev\/null: Operation not permitted/);
    expect(readFileSync('/dev/null', 'utf8')).toBe('');
  });

  it('are refused with the log of the verifier', () => {
    expect(thrownBy(() => load(exit))).toMatchObject({
      syscall: 'bpf',
      code: 'EACCES',
      message: expect.stringMatching(/R0 !read_ok/) as unknown,
    });
  });
});
