import { CLONE_NEWNS, CLONE_NEWUSER, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC } from '@tsc/sys';
import type { Operation, StartProgram } from '@tsc/sys';

import { checkIdMap, formatIdMap, mapsInside } from './id-map.ts';
import type { IdMapping } from './id-map.ts';
import { namespaceFlags } from './open.ts';
import type { NamespaceHandle, NamespaceType } from './open.ts';

/** What to run, and where. */
export interface NamespacedCommand {
  /** A path, or a name to look for in the `PATH` of `env`. */
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  /** Nothing but a default `PATH` unless given. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Looked up inside; where this process is unless given. */
  readonly cwd?: string | undefined;
  /** Namespaces to make for it. */
  readonly create?: readonly NamespaceType[] | undefined;
  /** Namespaces that are there. They stay the caller's to close. */
  readonly join?: readonly Pick<NamespaceHandle, 'type' | 'fd'>[] | undefined;
  /** For a new user namespace; the caller becomes root in it unless given. */
  readonly uidMap?: readonly IdMapping[] | undefined;
  readonly gidMap?: readonly IdMapping[] | undefined;
  /** Needs a uts namespace of its own, made or joined. */
  readonly hostname?: string | undefined;
  /** Mounts a procfs of the pid namespace on `/proc`. Needs a new mount namespace. */
  readonly mountProc?: boolean | undefined;
}

/** Who asks. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const PR_SET_DUMPABLE = 4;

function check(request: NamespacedCommand): void {
  const { create = [], join = [], uidMap, gidMap, hostname, mountProc, command } = request;
  const types = [...create, ...join.map(({ type }) => type)];
  const twice = types.find((type, index) => types.indexOf(type) !== index);
  if (command === '') throw new TypeError('no command given');
  if (twice !== undefined) throw new TypeError(`a process cannot be in two ${twice} namespaces`);
  if ((uidMap ?? gidMap) !== undefined && !create.includes('user')) {
    throw new TypeError('id maps are for a new user namespace');
  }
  if (hostname !== undefined && !types.includes('uts')) {
    throw new TypeError('without a uts namespace of its own, hostname would be the name of this machine');
  }
  if (mountProc === true && !create.includes('mnt')) {
    throw new TypeError('without a new mount namespace, /proc of this machine would be mounted over');
  }
  for (const map of [uidMap, gidMap]) if (map !== undefined) checkIdMap(map);
}

/**
 * Root enters its user namespace last, because it gives up what entering the others takes; an ordinary user first,
 * because that is where it gains it.
 */
function planJoins(join: NonNullable<NamespacedCommand['join']>, privileged: boolean): Operation[] {
  const steps = join.map(({ type }, slot) => ({ type, slot }));
  const user = steps.filter(({ type }) => type === 'user');
  const others = steps.filter(({ type }) => type !== 'user');
  return (privileged ? [...others, ...user] : [...user, ...others]).map(({ type, slot }) => ({
    op: 'setns',
    fd: slot,
    nstype: namespaceFlags[type],
  }));
}

interface UserPlan {
  readonly beforeClone: readonly Operation[];
  readonly clone: { readonly flags: number; readonly uidMap?: string; readonly gidMap?: string };
  readonly afterClone: readonly Operation[];
}

const NO_USER: UserPlan = { beforeClone: [], clone: { flags: 0 }, afterClone: [] };

/** Becoming root of the namespace; where 0 is nobody's there, the ids stay as they are seen from inside. */
const becomeRoot = (uidMap: readonly IdMapping[], gidMap: readonly IdMapping[]): Operation[] => [
  ...(mapsInside(gidMap, 0)
    ? ([
        { op: 'setgroups', groups: [] },
        { op: 'setresgid', gid: 0 },
      ] as const)
    : []),
  ...(mapsInside(uidMap, 0) ? [{ op: 'setresuid', uid: 0 } as const] : []),
];

/**
 * A new user namespace. Root writes any map from outside. An ordinary user may only map the id it has, from inside, and
 * must give up setgroups before: so the monitor itself enters, and what is cloned from it is inside already.
 */
function planUser(request: NamespacedCommand, caller: Caller): UserPlan {
  if (request.create?.includes('user') !== true) return NO_USER;
  const uidMap = request.uidMap ?? [{ containerId: 0, hostId: caller.uid, size: 1 }];
  const gidMap = request.gidMap ?? [{ containerId: 0, hostId: caller.gid, size: 1 }];
  const maps = { uidMap: formatIdMap(uidMap), gidMap: formatIdMap(gidMap) };
  if (caller.uid === 0) {
    return { beforeClone: [], clone: { flags: CLONE_NEWUSER, ...maps }, afterClone: becomeRoot(uidMap, gidMap) };
  }
  const beforeClone: readonly Operation[] = [
    { op: 'unshare', flags: CLONE_NEWUSER },
    // A process that can't be dumped has files in /proc that are root's, outside.
    { op: 'prctl', option: PR_SET_DUMPABLE, args: [1] },
    { op: 'writeFile', path: '/proc/self/setgroups', data: 'deny' },
    { op: 'writeFile', path: '/proc/self/uid_map', data: maps.uidMap },
    { op: 'writeFile', path: '/proc/self/gid_map', data: maps.gidMap },
    { op: 'prctl', option: PR_SET_DUMPABLE, args: [0] },
  ];
  return { beforeClone, clone: { flags: 0 }, afterClone: [] };
}

/** Who enters a user namespace that is there becomes its root, too. */
const enterAsRoot = ({ join = [] }: NamespacedCommand, { uid }: Caller): Operation[] =>
  uid === 0 && join.some(({ type }) => type === 'user')
    ? [
        { op: 'setgroups', groups: [] },
        { op: 'setresgid', gid: 0 },
        { op: 'setresuid', uid: 0 },
      ]
    : [];

/** The files that execvp would try, in its order. */
function candidates(command: string, path: string): readonly string[] {
  if (command.includes('/')) return [command];
  return path.split(':').map((dir) => (dir === '' ? `./${command}` : `${dir}/${command}`));
}

function planMounts({ create = [], mountProc }: NamespacedCommand): Operation[] {
  if (!create.includes('mnt')) return [];
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  return [
    // What is mounted inside stays inside.
    { op: 'mount', target: '/', flags: MS_REC | MS_PRIVATE },
    ...(mountProc === true ? [{ op: 'mount', source: 'proc', target: '/proc', fstype: 'proc', flags } as const] : []),
  ];
}

/**
 * Compiles a command in namespaces into the program that tsc-init carries out. Pure. Slots 0, 1, … are the handles of
 * `join` in their order.
 *
 * @throws TypeError for a request that means nothing
 */
export function planSpawn(request: NamespacedCommand, caller: Caller): StartProgram {
  check(request);
  const { create = [], join = [], command, args = [], env = {}, cwd, hostname } = request;
  const user = planUser(request, caller);
  const made = create.filter((type) => type !== 'user').reduce((flags, type) => flags | namespaceFlags[type], 0);
  return {
    inherited: join.length,
    operations: [
      { op: 'keep', inherit: true },
      ...planJoins(join, caller.uid === 0),
      ...user.beforeClone,
      { op: 'clone', ...user.clone, flags: made | user.clone.flags },
      ...user.afterClone,
      ...enterAsRoot(request, caller),
      ...((made & CLONE_NEWNS) === 0 ? [] : planMounts(request)),
      ...(hostname === undefined ? [] : [{ op: 'sethostname', name: hostname } as const]),
      ...(cwd === undefined ? [] : [{ op: 'chdir', path: cwd } as const]),
      {
        op: 'exec',
        candidates: candidates(command, env['PATH'] ?? DEFAULT_PATH),
        argv: [command, ...args],
        envp: Object.entries({ PATH: DEFAULT_PATH, ...env }).map(([name, value]) => `${name}=${value}`),
        dieWithMonitor: true,
      },
    ],
  };
}
