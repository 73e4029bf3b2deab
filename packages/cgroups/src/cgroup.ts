import { constants, existsSync, openSync } from 'node:fs';

import { applyStepsOrRestore } from './apply.ts';
import { DEFAULT_CONTROLLERS, V2_NAMES, CONTROLLERS } from './controller.ts';
import type { CgroupController, ControllerGroup, ControllerGroups } from './controller.ts';
import { readCpuBandwidth } from './controllers/cpu.ts';
import { freezeGroup, isFrozen, thawGroup } from './controllers/freezer.ts';
import { readMemoryMaxima, readOomKills } from './controllers/memory.ts';
import { makeGroups } from './creation.ts';
import { childDirectories, removeGroupDirectory, removeGroupTree } from './directory.ts';
import { CgroupError } from './errors.ts';
import type { CgroupFacts } from './facts.ts';
import { ancestry, checkGroupName, checkGroupPath, directoriesOf, groupsAt } from './group-path.ts';
import { readInterfaceFile } from './interface-file.ts';
import { isPopulated, killGroup } from './killing.ts';
import type { CgroupLimits } from './limits.ts';
import { controllersFor, planLimits } from './plan.ts';
import { listPids } from './processes.ts';
import { readStats, type CgroupStats } from './stats.ts';
import { waitUntil, type Waiting, type WaitOptions } from './waiting.ts';

/** What {@link createCgroup} and {@link Cgroup.createChild} make a group with. */
export interface ChildOptions {
  readonly limits?: CgroupLimits | undefined;
  /** Instead of the default ones; those that `limits` need are always added. One that is missing is refused. */
  readonly controllers?: readonly CgroupController[] | undefined;
}

export interface CreateCgroupOptions extends ChildOptions {
  readonly facts: CgroupFacts;
}

export interface OpenCgroupOptions {
  readonly facts: CgroupFacts;
}

export interface DestroyOptions extends WaitOptions {
  /** Also removes the groups above that are empty then, up to the mount's root: give it where they are all yours. */
  readonly removeEmptyParents?: boolean | undefined;
}

/** A file, and what a process with a single thread writes to it to enter the group. */
export interface JoinTarget {
  readonly path: string;
  /** Means the process that writes. */
  readonly data: '0';
}

interface CgroupParts {
  readonly path: string;
  readonly facts: CgroupFacts;
  readonly groups: ControllerGroups;
  /** The directories to join: for a child group also its parent's, in the hierarchies where it has none itself. */
  readonly joined: ControllerGroups;
}

const FREEZE_TIMEOUT_MS = 10_000;
const KILL_TIMEOUT_MS = 10_000;
const DESTROY_TIMEOUT_MS = 5_000;

/**
 * A control group: one directory on v2, one per hierarchy on v1. Not held open: it may outlive this object and this
 * process, and {@link openCgroup} takes hold of it again.
 *
 * Every method throws {@link CgroupError} `CGROUP_NOT_FOUND` once the group is gone, except {@link Cgroup.destroy}.
 */
export class Cgroup implements AsyncDisposable {
  /** Below each mount: `/tsc/abc`. */
  readonly path: string;
  readonly #facts: CgroupFacts;
  readonly #groups: ControllerGroups;
  readonly #joined: ControllerGroups;
  /** The hierarchy that is asked which processes there are; on v1 the freezer's, which every group of ours has. */
  readonly #home: ControllerGroup;

  /** @internal Use {@link createCgroup} and {@link openCgroup}. */
  constructor({ path, facts, groups, joined }: CgroupParts) {
    const home = groups.get('freezer') ?? groups.get('pids') ?? groups.values().next().value;
    if (home === undefined) throw new TypeError('a cgroup has at least one directory');
    this.path = path;
    this.#facts = facts;
    this.#groups = groups;
    this.#joined = joined;
    this.#home = home;
  }

  /** The group's own directories, absolute; v1's come first. */
  get directories(): readonly string[] {
    return directoriesOf(this.#groups);
  }

  /**
   * What a process writes to enter, in any order, before it drops privileges; it must have a single thread.
   *
   * On v1 the file is `tasks`: the first write to a hierarchy's `cgroup.procs` waits 9 to 13 ms for an RCU grace period,
   * because it moves a whole thread group. On v2 only `cgroup.procs` will do; see {@link Cgroup.openDirectory}.
   */
  joinTargets(): readonly JoinTarget[] {
    const files = [...this.#joined.values()]
      .toSorted((one, other) => one.version - other.version)
      .map(({ version, directory }) => `${directory}/${version === 1 ? 'tasks' : 'cgroup.procs'}`);
    return [...new Set(files)].map((path) => ({ path, data: '0' }));
  }

  /** A descriptor for CLONE_INTO_CGROUP, the caller's to close; `undefined` where v1 hierarchies have to be joined. */
  openDirectory(): number | undefined {
    const [directory, ...others] = directoriesOf(this.#joined);
    if (directory === undefined || others.length > 0 || this.#home.version === 1) return undefined;
    return openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /**
   * Sets limits of a group that may be in use. When the kernel refuses one, those already set get their old values back,
   * except device rules and those of single block devices.
   *
   * @throws {@link CgroupError} as {@link planLimits} does, before the first write
   * @throws {@link CgroupError} `CGROUP_WRITE_REFUSED`: the kernel said no, see `errno` and `path`
   * @remarks Device rules change in several writes, and on v1 only while there are no child groups: in between, devices
   *   that both the old and the new rules allow are denied.
   */
  apply(limits: CgroupLimits): void {
    const needed = controllersFor(limits);
    const read = <T>(name: CgroupController, from: (group: ControllerGroup) => T): T | undefined => {
      const group = needed.includes(name) ? this.#groups.get(name) : undefined;
      return group === undefined ? undefined : from(group);
    };
    const present = { memory: read('memory', readMemoryMaxima), cpu: read('cpu', readCpuBandwidth) };
    applyStepsOrRestore(planLimits(limits, { facts: this.#facts, groups: this.#groups, present }));
  }

  stats(): CgroupStats {
    this.#checkExists();
    return readStats(this.#groups);
  }

  /** How many of its processes the OOM killer took, those of child groups included. */
  oomKills(): number {
    const memory = this.#require('memory');
    if (memory.version === 2) return readOomKills(memory);
    const sum = (directory: string): number =>
      childDirectories(directory).reduce((total, child) => total + sum(child), readOomKills({ version: 1, directory }));
    return sum(memory.directory); // v1 counts each group by itself
  }

  /** The processes in the group and below it, as the caller's pid namespace numbers them. */
  pids(): readonly number[] {
    return listPids(this.#home.directory);
  }

  /** Whether a process is in the group or below it. One that has ended but was not waited for does not count. */
  populated(): boolean {
    return isPopulated(this.#home);
  }

  /**
   * Stops all processes, and resolves when all stand still; when they don't, thaws them again.
   *
   * @param options - `timeoutMs` is 10 s if left out
   * @throws {@link CgroupError} `CGROUP_BUSY`: one did not stop in time, waiting for a device perhaps
   */
  async freeze(options: WaitOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await freezeGroup(this.#require('freezer'), this.#waiting('freeze', FREEZE_TIMEOUT_MS, options));
  }

  /** Lets frozen processes go on, and resolves when the kernel has let go of them. Fine when nothing is frozen. */
  async thaw(options: WaitOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const freezer = this.#require('freezer');
    thawGroup(freezer);
    await waitUntil(() => !isFrozen(freezer), this.#waiting('thaw', FREEZE_TIMEOUT_MS, options));
  }

  /**
   * Sends SIGKILL to every process in the group and below it, frozen ones too, and resolves when none is left: with
   * cgroup.kill where there is one, on v1 again and again until no process is found.
   *
   * @param options - `timeoutMs` is 10 s if left out
   * @throws {@link CgroupError} `CGROUP_BUSY`: one did not end in time
   */
  async killAll(options: WaitOptions = {}): Promise<void> {
    await killGroup(this.#home, this.#groups.get('freezer'), this.#waiting('empty', KILL_TIMEOUT_MS, options));
  }

  /**
   * Makes a group below this one, to freeze and kill some of its processes by, such as those of an exec. By default it
   * has no limits of its own: what its processes use counts here. On v1 it has a directory in the freezer hierarchy
   * only, and its processes join this group in the others.
   *
   * @param name - one path segment
   * @throws {@link CgroupError} as {@link createCgroup} does; on v2 limits need a parent without processes (EBUSY)
   */
  createChild(name: string, { limits = {}, controllers = [] }: ChildOptions = {}): Cgroup {
    checkGroupName(name);
    // One that this group does not have would get a parent directory that destroy() does not know of.
    for (const controller of [...controllers, ...controllersFor(limits)]) this.#require(controller);
    const wanted = [...this.#groups].flatMap(([controller, { version }]) =>
      controller === 'freezer' || (version === 2 && V2_NAMES[controller] === undefined) ? [controller] : [],
    );
    const groups = makeGroups(`${this.path}/${name}`, {
      facts: this.#facts,
      limits,
      required: controllers,
      wanted: wanted.length > 0 ? wanted : [...this.#groups.keys()].slice(0, 1),
    });
    return this.#child(name, groups);
  }

  /**
   * Takes hold of a group that {@link Cgroup.createChild} made.
   *
   * @throws {@link CgroupError} `CGROUP_NOT_FOUND`
   */
  openChild(name: string): Cgroup {
    checkGroupName(name);
    return this.#child(name, findGroups(`${this.path}/${name}`, this.#facts));
  }

  /**
   * Removes the group and those below it. Processes must have ended or be about to; gone already is success.
   *
   * @param options - `timeoutMs` is 5 s if left out
   * @throws {@link CgroupError} `CGROUP_BUSY`: it still has processes
   */
  async destroy(options: DestroyOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    let remaining = this.directories;
    await waitUntil(
      () => {
        remaining = remaining.filter((directory) => !removeGroupTree(directory));
        return remaining.length === 0;
      },
      this.#waiting('destroy', DESTROY_TIMEOUT_MS, options),
    );
    if (options.removeEmptyParents === true) this.#removeEmptyParents();
  }

  /** {@link Cgroup.destroy} */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.destroy();
  }

  #removeEmptyParents(): void {
    const mountPoints = this.directories.map((directory) => directory.slice(0, -this.path.length));
    const parents = ancestry(this.path).slice(0, -1).toReversed();
    for (const mountPoint of mountPoints) parents.every((parent) => removeGroupDirectory(`${mountPoint}${parent}`));
  }

  #child(name: string, groups: ControllerGroups): Cgroup {
    const path = `${this.path}/${name}`;
    const mountOf = (controller: CgroupController): string | undefined =>
      this.#facts.controllers[controller]?.mountPoint;
    const own = new Map([...groups].map(([controller, group]) => [mountOf(controller), group]));
    // By hierarchy, not by controller: two that are mounted together are joined together.
    const joined = new Map(
      [...this.#joined].map(([controller, group]) => [controller, own.get(mountOf(controller)) ?? group]),
    );
    return new Cgroup({ path, facts: this.#facts, groups, joined });
  }

  #require(name: CgroupController): ControllerGroup {
    const group = this.#groups.get(name);
    if (group !== undefined) return group;
    throw new CgroupError('CGROUP_CONTROLLER_OFF', `cannot use the ${name} controller: cgroup ${this.path} lacks it`);
  }

  #checkExists(): void {
    const { directory } = this.#home;
    if (existsSync(directory)) return;
    throw new CgroupError('CGROUP_NOT_FOUND', `cannot read ${directory}: no such cgroup`, { path: directory });
  }

  #waiting(verb: string, timeoutMs: number, options: WaitOptions): Waiting {
    const what = `${verb} cgroup ${this.path}`;
    return { what, timeoutMs: options.timeoutMs ?? timeoutMs, signal: options.signal };
  }
}

/**
 * Makes a new control group with its limits set, its missing parents included; when something fails, removes what it
 * made. Synchronous: a dozen calls of about 20 µs each.
 *
 * By default it has every controller that statistics, freezing and killing need and the machine offers; `cpuset` only
 * if asked for.
 *
 * @param path - absolute, below the mount's root: `/tsc/abc`
 * @throws {@link CgroupError} `CGROUP_EXISTS`
 * @throws {@link CgroupError} `CGROUP_CONTROLLER_OFF`, `CGROUP_LIMIT_INVALID`, `CGROUP_LIMIT_UNSUPPORTED`,
 *   `CGROUP_PATH_INVALID`: nothing was touched yet
 * @throws {@link CgroupError} `CGROUP_WRITE_REFUSED`: the kernel said no, see `errno` and `path`
 * @remarks Privilege: write access to the parent group, by root or delegation.
 * @example
 * await using cgroup = createCgroup('/tsc/abc', { facts: probeCgroups(), limits: { pidsMax: 100 } });
 */
export function createCgroup(path: string, { facts, limits = {}, controllers }: CreateCgroupOptions): Cgroup {
  const wanted = controllers === undefined ? DEFAULT_CONTROLLERS : [];
  const groups = makeGroups(path, { facts, limits, required: controllers ?? [], wanted });
  return new Cgroup({ path, facts, groups, joined: groups });
}

/**
 * Takes hold of a group that exists, with the controllers it has. A group that {@link Cgroup.createChild} made is
 * better opened with {@link Cgroup.openChild}, which knows what its processes join besides.
 *
 * @throws {@link CgroupError} `CGROUP_NOT_FOUND`: no hierarchy has it
 */
export function openCgroup(path: string, { facts }: OpenCgroupOptions): Cgroup {
  checkGroupPath(path);
  const groups = findGroups(path, facts);
  return new Cgroup({ path, facts, groups, joined: groups });
}

function findGroups(path: string, facts: CgroupFacts): ControllerGroups {
  const possible = groupsAt(path, facts, CONTROLLERS);
  const existing = new Set(directoriesOf(possible).filter((directory) => existsSync(directory)));
  const groups = new Map([...possible].filter(([, { directory }]) => existing.has(directory)));
  const unified = [...groups.values()].find(({ version }) => version === 2);
  const enabled =
    unified === undefined ? [] : readInterfaceFile(`${unified.directory}/cgroup.controllers`).trim().split(' ');
  for (const [name, { version }] of groups) {
    const v2Name = V2_NAMES[name];
    if (version === 2 && v2Name !== undefined && !enabled.includes(v2Name)) groups.delete(name);
  }
  if (groups.size > 0) return groups;
  throw new CgroupError('CGROUP_NOT_FOUND', `cannot open cgroup ${path}: no hierarchy has it`, { path });
}
