import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  encodeProgram,
} from '@tsc/sys';
import type { Operation } from '@tsc/sys';
import { describe, expect, it } from '@jest/globals';

import { defaultSpec } from '../default-spec.ts';
import type { DefaultSpecOptions } from '../default-spec.ts';
import type { OciSpec } from '../oci-spec.ts';
import { compileStart } from './start.ts';
import type { StartContext } from './start.ts';

const context: StartContext = { inherited: 1, rootfs: 0, scratchDir: '/run/scratch', keep: { attached: true } };
const seccomp = { filter: Uint8Array.of(6, 0, 0, 0, 0, 0, 0xff, 0x7f), flags: 0 };

type Name = Operation['op'];
type Of<N extends Name> = Extract<Operation, { op: N }>;

const compile = (spec: OciSpec, more: Partial<StartContext> = {}): readonly Operation[] =>
  compileStart(spec, { ...context, ...more }).operations;
const compileDefault = (
  options: Partial<DefaultSpecOptions> = {},
  more: Partial<StartContext> = {},
): readonly Operation[] => compile(defaultSpec({ args: ['sh'], ...options }), more);
const all = <N extends Name>(operations: readonly Operation[], name: N): Of<N>[] =>
  operations.filter((operation): operation is Of<N> => operation.op === name);
const indexOf = (operations: readonly Operation[], name: Name): number => operations.findIndex(({ op }) => op === name);
/** The operations without repetitions: the outline of a start. */
const outline = (operations: readonly Operation[]): Name[] =>
  operations.map(({ op }) => op).filter((op, index, names) => op !== names[index - 1]);
const after = (operations: readonly Operation[], name: Name): Name[] =>
  operations.slice(indexOf(operations, name) + 1).map(({ op }) => op);
const changed = (change: (spec: OciSpec) => Partial<OciSpec>, options: Partial<DefaultSpecOptions> = {}): OciSpec => {
  const spec = defaultSpec({ args: ['sh'], ...options });
  return { ...spec, ...change(spec) };
};

describe('the start program of the default configuration', () => {
  const operations = compileDefault({ hostname: 'h' });

  it('goes through the stages of a start in their order', () => {
    const stages = [
      'keep',
      'clone',
      'loopbackUp',
      'unshare',
      'sethostname',
      'mount',
      'moveMount',
      'mknodat',
      'writeFile',
      'readonly',
      'mask',
      'pivotRoot',
      'keyring',
      'chdir',
      'capbound',
      'setresuid',
      'capset',
      'exec',
    ] as const;
    const positions = stages.map((stage) => indexOf(operations, stage));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(positions).not.toContain(-1);
    expect(operations.at(-1)?.op).toBe('exec');
    expect(outline(operations).slice(0, 6)).toEqual(['keep', 'clone', 'loopbackUp', 'unshare', 'sethostname', 'umask']);
  });

  it('makes all namespaces at once but that of the cgroups, which is made when the process is in them', () => {
    expect(all(operations, 'clone')).toEqual([
      {
        op: 'clone',
        flags: CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWIPC,
        uidMap: '',
        gidMap: '',
      },
    ]);
    expect(all(operations, 'unshare')).toEqual([{ op: 'unshare', flags: CLONE_NEWCGROUP }]);
  });

  it('mounts nothing that the host sees, and only by descriptors', () => {
    expect(all(operations, 'mount')).toEqual([{ op: 'mount', target: '/', flags: MS_REC | MS_SLAVE }]);
    expect(all(operations, 'resolve').map(({ path, root, resolve }) => [path, root, (resolve ?? 0) !== 0])).toEqual([
      ...['/proc', '/dev', '/dev/pts', '/sys'].map((path) => [path, 0, true]),
      ['/sys/fs/cgroup', 0, true],
      ['/dev/mqueue', 0, true],
      ['/dev/shm', 0, true],
      ['/', 0, false], // the working directory
    ]);
  });

  it('makes the nodes and links of /dev in the fresh tmpfs, by its descriptor', () => {
    const [node] = all(operations, 'mknodat');
    const devices = all(operations, 'mknodat').map(({ path, major, minor, mode }) => [
      path,
      major,
      minor,
      mode.toString(8),
    ]);
    expect(devices).toEqual([
      ['null', 1, 3, '20666'],
      ['zero', 1, 5, '20666'],
      ['full', 1, 7, '20666'],
      ['random', 1, 8, '20666'],
      ['urandom', 1, 9, '20666'],
      ['tty', 5, 0, '20666'],
    ]);
    expect(all(operations, 'symlinkat').map(({ path }) => path)).toEqual([
      'fd',
      'stdin',
      'stdout',
      'stderr',
      'core',
      'ptmx',
    ]);
    const dir = new Set(
      [...all(operations, 'mknodat'), ...all(operations, 'symlinkat')].map((operation) => operation.dir),
    );
    expect([...dir]).toEqual([node?.dir]);
    expect(all(operations, 'fsmount').map(({ slot }) => slot)).toContain(node?.dir);
  });

  it('hides and protects paths below the new root, before it is entered', () => {
    const spec = defaultSpec({ args: ['sh'] });
    expect(all(operations, 'mask').map(({ path }) => path)).toEqual(spec.linux?.maskedPaths);
    expect(all(operations, 'readonly').map(({ path }) => path)).toEqual(spec.linux?.readonlyPaths);
    for (const { root } of [...all(operations, 'mask'), ...all(operations, 'readonly')]) expect(root).toBe(0);
    expect(after(operations, 'pivotRoot')).not.toContain('mask');
    const [nullDevice] = all(operations, 'mask');
    expect(all(operations, 'open').find(({ slot }) => slot === nullDevice?.nullDevice)?.path).toBe('/dev/null');
  });

  it('writes kernel parameters through the new procfs, which they cannot leave', () => {
    const writes = all(operations, 'writeFile');
    expect(writes.map(({ path, data }) => [path, data])).toEqual([
      ['sys/net/ipv4/ip_unprivileged_port_start', '0'],
      ['sys/net/ipv4/ping_group_range', '0 2147483647'],
    ]);
    const proc = all(operations, 'fsmount')[0]?.slot;
    for (const { dir, resolve } of writes) expect([dir, resolve]).toEqual([proc, 0x08 | 0x02 | 0x01]);
  });

  it('fits into a start program, and takes no slot twice', () => {
    expect(encodeProgram({ inherited: 1, operations }).length).toBeGreaterThan(1000);
    const open = new Set<number>();
    for (const operation of operations) {
      if (operation.op === 'close') open.delete(operation.slot);
      if (!['open', 'openTree', 'fsopen', 'fsmount', 'resolve'].includes(operation.op)) continue;
      const { slot } = operation as { slot: number };
      expect(open).not.toContain(slot);
      expect(slot).toBeGreaterThanOrEqual(1);
      open.add(slot);
    }
    expect(Math.max(...open)).toBeLessThan(128);
  });

  it('is the same for the same input', () => {
    expect(compileDefault({ hostname: 'h' })).toEqual(operations);
  });
});

describe('becoming the user', () => {
  const identity = ['setgroups', 'setresgid', 'prctl', 'setresuid', 'capset', 'capambient'];

  it('loads the filter while that is allowed, without "no new privileges"', () => {
    expect(after(compileDefault({}, { seccomp }), 'stdioOwner')).toEqual(['capbound', 'seccomp', ...identity, 'exec']);
  });

  it('loads the filter last, with it', () => {
    const operations = compileDefault({ noNewPrivileges: true }, { seccomp });
    expect(after(operations, 'stdioOwner')).toEqual(['capbound', ...identity, 'prctl', 'seccomp', 'exec']);
    expect(all(operations, 'prctl').at(-1)).toEqual({ op: 'prctl', option: 38, args: [1] });
  });

  it('loads none where there is none, and stays as an init where asked', () => {
    expect(after(compileDefault({}, { reap: true }), 'stdioOwner')).toEqual(['capbound', ...identity, 'reap', 'exec']);
  });

  it('sets ids, groups, capabilities, limits and mask as the configuration says', () => {
    const operations = compileDefault({
      user: { uid: 7, gid: 8, additionalGids: [9], umask: 0o77 },
      capabilities: ['CAP_CHOWN'],
      rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 2n ** 64n - 1n }],
    });
    expect(operations).toEqual(
      expect.arrayContaining([
        { op: 'setgroups', groups: [9] },
        { op: 'setresgid', gid: 8 },
        { op: 'setresuid', uid: 7 },
        { op: 'capbound', mask: 1n },
        { op: 'capset', effective: 1n, permitted: 1n, inheritable: 0n },
        { op: 'capambient', mask: 0n },
        { op: 'prlimit', resource: 4, soft: 0n, hard: 2n ** 64n - 1n },
      ]),
    );
    expect(all(operations, 'umask').map(({ mask }) => mask)).toEqual([0, 0o77]);
  });

  it('looks for the command in the PATH of the process', () => {
    const exec = (args: readonly string[], env?: readonly string[]): unknown =>
      compileDefault({ args, ...(env === undefined ? {} : { env }) }).at(-1);
    expect(exec(['ls', '-l'], ['PATH=/a:', 'PATH=/b::/c'])).toMatchObject({
      candidates: ['/b/ls', './ls', '/c/ls'],
      argv: ['ls', '-l'],
    });
    expect(exec(['./ls'])).toMatchObject({ candidates: ['./ls'] });
    expect(exec(['ls'], [])).toMatchObject({
      candidates: expect.arrayContaining(['/usr/local/sbin/ls', '/bin/ls']) as unknown,
    });
  });
});

describe('a terminal', () => {
  it('is made in the new devpts and bound on a file that was made for it', () => {
    const operations = compileDefault({ terminal: true }, { windowSize: { rows: 24, columns: 80 } });
    expect(operations[0]).toMatchObject({ op: 'keep', attached: true, terminal: true });
    const [terminal] = all(operations, 'terminal');
    expect(terminal).toMatchObject({ rows: 24, columns: 80 });
    const at = indexOf(operations, 'terminal');
    expect(operations.slice(at + 1, at + 4)).toMatchObject([
      { op: 'openTree', dir: terminal?.slot, path: '' },
      { op: 'moveMount', path: 'console' },
      { op: 'close' },
    ]);
    expect(all(operations, 'mknodat').at(-1)).toMatchObject({ path: 'console', mode: 0o100620 });
  });

  it('is one of the host where /dev is, in which nothing is made', () => {
    const mounts = [{ destination: '/dev', type: 'bind', source: '/dev', options: ['rbind'] }];
    const operations = compileDefault({ terminal: true, mounts });
    expect([...all(operations, 'mknodat'), ...all(operations, 'symlinkat')]).toEqual([]);
    const at = indexOf(operations, 'terminal');
    expect(operations.slice(at - 2, at)).toMatchObject([
      { op: 'resolve', path: '/dev/pts', missing: 'fail' },
      { op: 'verifyFs', magic: 0x1cd1 },
    ]);
    expect(operations[at + 1]).not.toMatchObject({ op: 'openTree' });
  });
});

describe('the root', () => {
  it('is made read-only after everything in it, and before it is entered', () => {
    const operations = compileDefault({ readonlyRootfs: true });
    const at = indexOf(operations, 'pivotRoot');
    expect(operations[at - 1]).toEqual({ op: 'mountSetattr', fd: 0, flags: 0, set: 1, clear: 0 });
    expect(compileDefault()[indexOf(compileDefault(), 'pivotRoot') - 1]?.op).toBe('mask');
  });

  it.each<['private' | 'slave' | 'shared' | 'unbindable', number, number | undefined]>([
    ['private', MS_PRIVATE, undefined],
    ['slave', MS_SLAVE, undefined],
    ['shared', MS_SLAVE, MS_SHARED],
    ['unbindable', MS_SLAVE, MS_UNBINDABLE],
  ])('is %s without showing its making to the host', (rootfsPropagation, early, late) => {
    const operations = compile(changed((spec) => ({ linux: { ...spec.linux, rootfsPropagation } })));
    expect(all(operations, 'mount')[0]?.flags).toBe(MS_REC | early);
    const next = operations[indexOf(operations, 'pivotRoot') + 1];
    expect(next?.op === 'mountSetattr' ? next.propagation : undefined).toBe(late);
  });
});

describe('namespaces', () => {
  it('are joined by path: that of pids before the clone, the others after it', () => {
    const namespaces = [
      { type: 'mount' },
      { type: 'pid', path: '/proc/7/ns/pid' },
      { type: 'network', path: '/run/netns/x' },
      { type: 'ipc', path: '/proc/7/ns/ipc' },
    ] as const;
    const operations = compileDefault({ namespaces });
    const steps = operations.slice(0, indexOf(operations, 'umask'));
    expect(steps.map((operation) => (operation.op === 'open' ? operation.path : operation.op))).toEqual([
      'keep',
      ...['/proc/7/ns/pid', 'setns', 'close'],
      'clone',
      ...['/run/netns/x', 'setns', 'close'],
      ...['/proc/7/ns/ipc', 'setns', 'close'],
    ]);
    expect(all(operations, 'clone')[0]?.flags).toBe(CLONE_NEWNS);
    expect(all(operations, 'writeFile')).toEqual([]); // no parameters of another's network
  });

  it('may be the host’s: nothing is joined and no device is set up', () => {
    const operations = compileDefault({ namespaces: [{ type: 'mount' }, { type: 'pid' }] });
    expect(all(operations, 'clone')[0]?.flags).toBe(CLONE_NEWNS | CLONE_NEWPID);
    for (const op of ['setns', 'loopbackUp', 'unshare'] as const) expect(indexOf(operations, op)).toBe(-1);
  });

  it('of the network may be one that was prepared', () => {
    const operations = compileDefault({}, { inherited: 2, netns: 1 });
    expect((all(operations, 'clone')[0]?.flags ?? 0) & CLONE_NEWNET).toBe(0);
    expect(all(operations, 'setns')).toEqual([{ op: 'setns', fd: 1, nstype: CLONE_NEWNET }]);
    expect(indexOf(operations, 'loopbackUp')).toBe(-1);
  });

  it('of users get their maps', () => {
    const namespaces = [{ type: 'mount' }, { type: 'user' }] as const;
    const map = [
      { containerID: 0, hostID: 1000, size: 1 },
      { containerID: 1, hostID: 100_000, size: 65_535 },
    ];
    const spec = changed((plain) => ({ linux: { ...plain.linux, uidMappings: map, gidMappings: map.slice(0, 1) } }), {
      namespaces,
    });
    expect(all(compile(spec), 'clone')).toEqual([
      { op: 'clone', flags: CLONE_NEWNS | CLONE_NEWUSER, uidMap: '0 1000 1\n1 100000 65535\n', gidMap: '0 1000 1\n' },
    ]);
  });
});

describe('control groups', () => {
  it('of version 1 are entered by writing, and seen as one directory for each controller', () => {
    const cgroup = {
      joinTargets: [{ path: '/sys/fs/cgroup/pids/x/tasks', data: '0' }],
      v1Mounts: [
        { controller: 'pids', hostPath: '/sys/fs/cgroup/pids/x' },
        { controller: 'cpu,cpuacct', hostPath: '/sys/fs/cgroup/cpu,cpuacct/x' },
      ],
      v2Mount: undefined,
    };
    const operations = compileDefault({}, { cgroup });
    const at = indexOf(operations, 'clone');
    expect(operations[at + 1]).toEqual({ op: 'writeFile', path: '/sys/fs/cgroup/pids/x/tasks', data: '0' });
    expect(all(operations, 'mkdirat').map(({ path }) => path)).toEqual(['pids', 'cpu,cpuacct']);
    const trees = all(operations, 'openTree').map(({ slot, path }) => ({ slot, path }));
    expect(trees.map(({ path }) => path)).toEqual(['/sys/fs/cgroup/pids/x', '/sys/fs/cgroup/cpu,cpuacct/x']);
    const readOnly = all(operations, 'mountSetattr')
      .filter(({ set }) => (set & 1) === 1)
      .map(({ fd }) => fd);
    expect(readOnly).toEqual(expect.arrayContaining(trees.map(({ slot }) => slot)));
    expect(readOnly).toHaveLength(3); // and the directory itself
    expect(operations.indexOf(operations.find(({ op }) => op === 'unshare') as Operation)).toBeGreaterThan(at + 1);
  });

  it('of version 2 are cloned into, and seen as they are', () => {
    const cgroup = { joinTargets: [], directory: 1, v1Mounts: [], v2Mount: '/sys/fs/cgroup/x' };
    const operations = compileDefault({}, { inherited: 2, cgroup });
    expect(all(operations, 'clone')[0]).toMatchObject({ cgroup: 1 });
    expect(all(operations, 'openTree').map(({ path }) => path)).toEqual(['/sys/fs/cgroup/x']);
    expect(all(operations, 'mountSetattr')[0]?.set).toBe(1 | 2 | 4 | 8);
  });

  it('are writable for a privileged container', () => {
    const cgroup = { joinTargets: [], v1Mounts: [], v2Mount: '/sys/fs/cgroup/x' };
    expect(all(compileDefault({ privileged: true }, { cgroup }), 'mountSetattr')[0]?.set).toBe(2 | 4 | 8);
  });
});
