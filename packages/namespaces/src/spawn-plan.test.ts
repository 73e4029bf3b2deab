import { CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS } from '@tsc/sys';
import { describe, expect, it } from '@jest/globals';

import { planSpawn } from './spawn-plan.ts';
import type { NamespacedCommand } from './spawn-plan.ts';

const root = { uid: 0, gid: 0 };
const somebody = { uid: 1000, gid: 100 };
const namesOf = (request: Omit<NamespacedCommand, 'command'>, caller = root): string[] =>
  planSpawn({ command: '/bin/true', ...request }, caller).operations.map(({ op }) => op);

describe('planSpawn', () => {
  it('clones into all new namespaces at once and changes nothing else', () => {
    expect(planSpawn({ command: '/bin/sh', args: ['-c', 'true'], create: ['net', 'pid'] }, root)).toEqual({
      inherited: 0,
      operations: [
        { op: 'keep', inherit: true },
        { op: 'clone', flags: CLONE_NEWNET | CLONE_NEWPID },
        {
          op: 'exec',
          candidates: ['/bin/sh'],
          argv: ['/bin/sh', '-c', 'true'],
          envp: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
          dieWithMonitor: true,
        },
      ],
    });
  });

  it('looks for a name without a slash in the PATH that the command gets', () => {
    const { operations } = planSpawn({ command: 'ls', env: { PATH: '/a::/b/c', TERM: 'vt100' } }, root);
    expect(operations.at(-1)).toMatchObject({
      candidates: ['/a/ls', './ls', '/b/c/ls'],
      envp: ['PATH=/a::/b/c', 'TERM=vt100'],
    });
  });

  it('enters a user namespace last as root and first as somebody else', () => {
    const join = [
      { type: 'user', fd: 7 },
      { type: 'net', fd: 8 },
    ] as const;
    const slots = (caller: typeof root): unknown[] =>
      planSpawn({ command: 'x', join }, caller).operations.flatMap((operation) =>
        operation.op === 'setns' ? [[operation.fd, operation.nstype]] : [],
      );
    expect(slots(root)).toEqual([
      [1, CLONE_NEWNET],
      [0, CLONE_NEWUSER],
    ]);
    expect(slots(somebody)).toEqual([
      [0, CLONE_NEWUSER],
      [1, CLONE_NEWNET],
    ]);
  });

  it('writes id maps from outside as root', () => {
    const ids = [
      { containerId: 0, hostId: 100_000, size: 65_536 },
      { containerId: 70_000, hostId: 0, size: 1 },
    ];
    const { operations } = planSpawn({ command: 'x', create: ['user', 'uts'], uidMap: ids, gidMap: ids }, root);
    const text = '0 100000 65536\n70000 0 1\n';
    expect(operations[1]).toEqual({ op: 'clone', flags: CLONE_NEWUSER | CLONE_NEWUTS, uidMap: text, gidMap: text });
    expect(operations.slice(2, -1).map(({ op }) => op)).toEqual(['setgroups', 'setresgid', 'setresuid']);
  });

  it('becomes nobody in particular where 0 is not mapped', () => {
    const ids = [{ containerId: 5, hostId: 0, size: 1 }];
    expect(namesOf({ create: ['user'], uidMap: ids, gidMap: ids })).toEqual(['keep', 'clone', 'exec']);
  });

  it('maps its own ids from inside as somebody else, without setgroups', () => {
    const { operations } = planSpawn({ command: 'x', create: ['user', 'mnt'] }, somebody);
    expect(
      operations.map((operation) => (operation.op === 'writeFile' ? [operation.path, operation.data] : operation.op)),
    ).toEqual([
      'keep',
      'unshare',
      'prctl',
      ['/proc/self/setgroups', 'deny'],
      ['/proc/self/uid_map', '0 1000 1\n'],
      ['/proc/self/gid_map', '0 100 1\n'],
      'prctl',
      'clone',
      'mount',
      'exec',
    ]);
    expect(operations.find(({ op }) => op === 'clone')).toEqual({ op: 'clone', flags: CLONE_NEWNS });
  });

  it('prepares hostname, procfs and directory inside, in this order', () => {
    expect(namesOf({ create: ['uts', 'mnt', 'pid'], hostname: 'h', cwd: '/tmp', mountProc: true })).toEqual([
      'keep',
      'clone',
      'mount',
      'mount',
      'sethostname',
      'chdir',
      'exec',
    ]);
  });

  it.each<[string, Omit<NamespacedCommand, 'command'>]>([
    ['two uts namespaces', { create: ['uts', 'uts'] }],
    ['two net namespaces', { create: ['net'], join: [{ type: 'net', fd: 5 }] }],
    ['the name of this machine', { hostname: 'h' }],
    ['/proc of this machine', { mountProc: true }],
    ['a new user namespace', { uidMap: [{ containerId: 0, hostId: 0, size: 1 }] }],
    ['id map is empty', { create: ['user'], gidMap: [] }],
    ['not a range', { create: ['user'], uidMap: [{ containerId: 0, hostId: -1, size: 1 }] }],
    ['not a range', { create: ['user'], uidMap: [{ containerId: 0, hostId: 0, size: 2 ** 32 }] }],
    ['not a range', { create: ['user'], uidMap: [{ containerId: 0, hostId: 0, size: 0 }] }],
    ['not a range', { create: ['user'], uidMap: [{ containerId: 0.5, hostId: 0, size: 1 }] }],
    [
      'overlap at hostId 9',
      {
        create: ['user'],
        uidMap: [
          { containerId: 50, hostId: 9, size: 1 },
          { containerId: 0, hostId: 0, size: 10 },
        ],
      },
    ],
  ])('refuses what means nothing: %s', (message, request) => {
    expect(() => namesOf(request)).toThrow(message);
  });
});
