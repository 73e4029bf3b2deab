/**
 * What this package can control, by the kernel's v1 names. On v2 `blkio` is the `io` controller, and `cpuacct`,
 * `devices` and `freezer` need no controller: every v2 cgroup has cpu.stat, cgroup.freeze and device programs.
 */
export type CgroupController = 'memory' | 'pids' | 'cpu' | 'cpuacct' | 'devices' | 'freezer' | 'blkio' | 'cpuset';

/** Also the order in which directories are made and limits are written. */
export const CONTROLLERS: readonly CgroupController[] = [
  'memory',
  'pids',
  'cpu',
  'cpuacct',
  'devices',
  'freezer',
  'blkio',
  'cpuset',
];

/**
 * What a cgroup gets when nobody says otherwise: enough for limits, statistics, freezing and killing. Not `cpuset`,
 * which on v1 costs a directory and two inherited files per level, and needs to be there only to be limited.
 */
export const DEFAULT_CONTROLLERS: readonly CgroupController[] = CONTROLLERS.filter((name) => name !== 'cpuset');

/** The v2 names, for cgroup.controllers and cgroup.subtree_control; `undefined` is part of every v2 cgroup. */
export const V2_NAMES: Readonly<Record<CgroupController, string | undefined>> = {
  memory: 'memory',
  pids: 'pids',
  cpu: 'cpu',
  cpuacct: undefined,
  devices: undefined,
  freezer: undefined,
  blkio: 'io',
  cpuset: 'cpuset',
};

/** One controller's directory of one cgroup. */
export interface ControllerGroup {
  readonly version: 1 | 2;
  /** Absolute: `/sys/fs/cgroup/pids/tsc/abc`. */
  readonly directory: string;
}

/** The directories of one cgroup; on v2 they are all the same one. */
export type ControllerGroups = ReadonlyMap<CgroupController, ControllerGroup>;
