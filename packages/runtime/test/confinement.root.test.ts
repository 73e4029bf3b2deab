import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { createCgroup, probeCgroups } from '@tsc/cgroups';
import type { Cgroup } from '@tsc/cgroups';
import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { describeRoot, testMarker } from '../../../test/root.ts';
import type { CgroupEntry, OciSpec } from '../src/index.ts';
import type { BusyboxRoot } from './busybox-root.ts';
import { TestContainer, run, shell, warmUp } from './test-container.ts';
import { Witness } from './witness.ts';

let witness: Witness;
beforeAll(async () => {
  await warmUp();
  witness = new Witness();
});
afterAll(() => {
  witness[Symbol.dispose]();
});

const EPERM = 1;
const ENOSYS = 38;

describeRoot('V13: abstract sockets', () => {
  it('of ours are not seen from the network of the host', async () => {
    const abstract = (text: string): string[] =>
      text
        .split('\n')
        .flatMap((line) => /@\S+$/.exec(line) ?? [])
        .sort();
    const before = abstract(readFileSync('/proc/net/unix', 'utf8'));
    await using container = await TestContainer.idle({
      namespaces: ['mount', 'uts', 'pid', 'ipc', 'cgroup'].map((type) => ({ type: type as 'mount' })),
    });
    const exec = await container.exec(['cat', '/proc/net/unix']);
    expect(abstract((await exec.finished()).stdout)).toEqual(before);
  });
});

describeRoot('V15: a configuration beyond all measure', () => {
  it('is refused', async () => {
    const mappings = Array.from({ length: 6000 }, (_, index) => ({ containerID: index, hostID: index, size: 1 }));
    const namespaces = ['mount', 'pid', 'user'].map((type) => ({ type: type as 'mount' }));
    const change = (spec: OciSpec): OciSpec => ({
      ...spec,
      linux: { ...spec.linux, namespaces, uidMappings: mappings, sysctl: {} },
    });
    await expect(run(['true'], { change })).rejects.toMatchObject({ code: 'RUNTIME_START_FAILED', errno: 'EINVAL' });
    await expect(run(['true', 'x'.repeat(200_000)])).rejects.toMatchObject({
      code: 'RUNTIME_START_FAILED',
      errno: 'E2BIG',
    });
    await expect(run(['true', 'a\0b'])).rejects.toThrow('holds a NUL');
    const annotations = { note: 'x'.repeat(70 * 1024) };
    expect((await run(['echo', 'x'.repeat(70 * 1024)], { annotations })).stdout).toHaveLength(70 * 1024 + 1);
  });
});

describeRoot('V16: control groups', () => {
  const facts = probeCgroups();

  /** What a start needs to know, as the engine says it. */
  function entryOf(cgroup: Cgroup): CgroupEntry {
    const groups = Object.values(facts.controllers).filter(
      ({ version, mountPoint }) => version === 1 && cgroup.directories.includes(`${mountPoint}${cgroup.path}`),
    );
    const v1 = new Map(groups.map(({ mountPoint }) => [basename(mountPoint), `${mountPoint}${cgroup.path}`]));
    const v2 = facts.unifiedMountPoint === undefined ? undefined : `${facts.unifiedMountPoint}${cgroup.path}`;
    return {
      joinTargets: cgroup.joinTargets(),
      v1Mounts: [...v1].map(([controller, hostPath]) => ({ controller, hostPath })),
      v2Mount: v2 !== undefined && cgroup.directories.includes(v2) ? v2 : undefined,
    };
  }

  it('are seen and not changed from inside', async () => {
    await using cgroup = createCgroup(`/${testMarker}-v16`, { facts, limits: { pidsMax: 50 } });
    const { stdout } = await shell(
      'cd /sys/fs/cgroup; find . -name pids.max | head -1; cat $(find . -name pids.max | head -1); mkdir new $(find . -type d | sed s/$/\\\\/new/) 2>/dev/null && echo made; for file in $(find . -type f); do echo 0 2>/dev/null >> $file && echo "wrote $file"; done; cut -d: -f3 /proc/self/cgroup | sort -u | head -1; mount -o remount,rw /sys/fs/cgroup && echo remounted; echo end',
      { cgroup: entryOf(cgroup) },
    );
    expect(stdout).toMatch(/^\.\/(?:pids\/)?pids\.max\n50\n\/\nend\n$/);
  });

  it('end what takes more memory than it may, and nothing else', async () => {
    await using cgroup = createCgroup(`/${testMarker}-v16`, { facts, limits: { memoryMaxBytes: 16 * 1024 ** 2 } });
    const hog = await shell('dd if=/dev/zero of=/dev/null bs=32M count=1; echo "dd $?"', { cgroup: entryOf(cgroup) });
    expect(hog.stdout).toBe('dd 137\n');
    expect(
      (await shell('dd if=/dev/zero of=/dev/null bs=1M count=1; echo "dd $?"', { cgroup: entryOf(cgroup) })).stdout,
    ).toBe('dd 0\n');
  });
});

describeRoot('V17: what procfs and sysfs tell of the host', () => {
  it('is empty, absent or closed for each masked path, and read-only for each protected one', async () => {
    await using container = await TestContainer.idle();
    const { maskedPaths = [], readonlyPaths = [] } = container.spec.linux ?? {};
    const masked =
      'for path; do if [ -d $path ]; then ls -A $path; elif [ -e $path ]; then cat $path; fi; done; echo end';
    const exec = await container.exec(['sh', '-c', masked, 'sh', ...maskedPaths]);
    expect(await exec.finished()).toEqual({ exitCode: 0, stdout: 'end\n', stderr: '' });
    const script =
      'for path; do [ -e $path ] || continue; for file in $(find $path -type f | head -200); do (: >> $file) 2>/dev/null && echo $file; done; done; echo end';
    const tried = await container.exec(['sh', '-c', script, 'sh', ...readonlyPaths, '/sys']);
    expect((await tried.finished()).stdout).toBe('end\n');
    expect(maskedPaths.length + readonlyPaths.length).toBeGreaterThanOrEqual(17);
  });

  it('is there for a container that was asked to be open', async () => {
    const { stdout } = await shell('[ "$(wc -c < /proc/interrupts)" -gt 0 ] && echo seen; mount | grep -c "/proc/"', {
      systemPaths: 'unconfined',
    });
    expect(stdout).toBe('seen\n0\n');
  });
});

describeRoot('V18: system calls', () => {
  const AF_ALG = 38;
  const AF_VSOCK = 40;
  const CLONE_NEWUSER = 0x10000000;
  const dangerous: readonly (readonly [string, number])[] = [
    [`socket ${AF_ALG} 5 0`, EPERM],
    [`socket ${AF_VSOCK} 1 0`, EPERM],
    ['keyctl 0 -3 1', EPERM],
    ['add_key 0 0 0 0 0', EPERM],
    ['bpf 0 0 0', EPERM],
    ['userfaultfd 1', EPERM],
    [`unshare ${CLONE_NEWUSER}`, EPERM],
    ['setns -1 0', EPERM],
    ['mount 0 0 0 0 0', EPERM],
    ['io_uring_setup 1 0', EPERM],
    ['kexec_load 0 0 0 0', EPERM],
    ['perf_event_open 0 0 0 0 0', EPERM],
    ['open_by_handle_at -1 0 0', EPERM],
    ['clone3 0 0', ENOSYS], // so that programs fall back to clone, whose flags can be looked at
  ];
  const script = dangerous.map(([call]) => `witness ${call}`).join('; ');
  const answers = (stdout: string): number[] => stdout.trim().split('\n').map(Number);

  it.each([false, true])(
    'that reach bugs of the kernel are refused, at the start and in an exec (no new privileges: %s)',
    async (noNewPrivileges) => {
      await using container = await TestContainer.idle({ image: witness.install, noNewPrivileges });
      const exec = await container.exec(['sh', '-c', script]);
      expect(answers((await exec.finished()).stdout)).toEqual(dangerous.map(([, errno]) => errno));
      const { stdout } = await shell(`${script}; witness getpid; witness socket 2 1 0`, {
        image: witness.install,
        noNewPrivileges,
      });
      expect(answers(stdout)).toEqual([...dangerous.map(([, errno]) => errno), 0, 0]);
    },
  );

  it('are open to a container without a filter', async () => {
    const { stdout } = await shell(
      `witness unshare ${CLONE_NEWUSER}; witness keyctl 0 -3 1; witness clone3 0 0; grep Seccomp: /proc/self/status`,
      {
        image: witness.install,
        seccomp: 'unconfined',
      },
    );
    expect(stdout).toBe('0\n0\n22\nSeccomp:\t0\n');
  });
});

describeRoot('V19: an exec', () => {
  it.each([{}, { noNewPrivileges: true }, { user: { uid: 1000, gid: 1000 } }])(
    'is confined as the first process is: %j',
    async (options) => {
      await using container = await TestContainer.idle(options);
      const confinement = (status: string): string[] =>
        status.split('\n').filter((line) => /^(?:Cap|Seccomp|NoNewPrivs|Uid|Gid|Groups)/.test(line));
      const first = confinement(readFileSync(`/proc/${container.hostPid}/status`, 'utf8'));
      const exec = await container.exec(['cat', '/proc/self/status']);
      expect(confinement((await exec.finished()).stdout)).toEqual(first);
      expect(first).toContain('Seccomp:\t2');
      expect(first).toContain('Seccomp_filters:\t1');
    },
  );

  it('runs nothing of the container but its command, however programs of the host are called', async () => {
    const names = ['ps', 'nsenter', 'xz', 'tar', 'git', 'sh', 'getent', 'mount', 'ip', 'tsc-init', 'init', 'id'];
    const dirs = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/local/bin', 'usr/local/sbin'];
    const image = (root: BusyboxRoot): void => {
      for (const dir of dirs) {
        mkdirSync(root.path(dir), { recursive: true });
        for (const name of names) {
          rmSync(root.path(join(dir, name)), { force: true });
          writeFileSync(root.path(join(dir, name)), '#!/bin/busybox sh\n/bin/busybox touch /trojan-ran\n', {
            mode: 0o755,
          });
        }
      }
    };
    await using container = await TestContainer.start(['/bin/busybox', 'sleep', '1000'], {
      image,
      terminal: true,
      cwd: '/new/dir',
    });
    const exec = await container.exec(['/bin/busybox', 'ls', '/'], { terminal: true, user: { uid: 1000, gid: 1000 } });
    expect((await exec.finished()).stdout).not.toContain('trojan');
    const trojan = await container.exec(['ps']);
    await trojan.finished();
    const list = await container.exec(['/bin/busybox', 'ls', '/']);
    expect((await list.finished()).stdout).toContain('trojan-ran');
  });
});
