import { applySteps } from './apply.ts';
import type { CgroupController, ControllerGroups } from './controller.ts';
import { inheritCpusetV1 } from './controllers/cpuset.ts';
import { delegateControllers, type Delegation } from './delegation.ts';
import { makeGroupDirectory, removeGroupDirectory } from './directory.ts';
import { CgroupError } from './errors.ts';
import type { CgroupFacts, ControllerFacts } from './facts.ts';
import { ancestry, checkGroupPath, groupsAt } from './group-path.ts';
import type { CgroupLimits } from './limits.ts';
import { controllersFor, planLimits } from './plan.ts';

export interface GroupRequest {
  readonly facts: CgroupFacts;
  readonly limits: CgroupLimits;
  /** Refused when one is missing. */
  readonly required: readonly CgroupController[];
  /** Left out when one is missing. */
  readonly wanted: readonly CgroupController[];
}

/**
 * Makes a group's directories and writes its limits, or leaves nothing behind. In this order: the plan, which may
 * refuse; for each hierarchy the directory, its missing parents first; on v2 the parents' subtree_control, on v1 the
 * CPUs and memory nodes of a cpuset; then the limits. A process that joins afterwards finds all of them in force.
 */
export function makeGroups(path: string, { facts, limits, required, wanted }: GroupRequest): ControllerGroups {
  checkGroupPath(path);
  const needed = [...required, ...controllersFor(limits)];
  for (const name of needed) checkPresent(name, facts);
  const groups = groupsAt(path, facts, [...needed, ...wanted]);
  const steps = planLimits(limits, { facts, groups });
  if (groups.size === 0)
    throw new CgroupError('CGROUP_CONTROLLER_OFF', `cannot create ${path}: no controller is there`);

  using undo = new DisposableStack();
  for (const mount of mountsOf(facts, groups)) {
    for (const directory of makeGroupDirectory(mount.mountPoint, path))
      undo.defer(() => removeGroupDirectory(directory));
    if (mount.version === 2) delegate(mount, path, { wanted, required: needed });
  }
  const cpuset = facts.controllers.cpuset;
  if (cpuset?.version === 1 && groups.has('cpuset')) {
    inheritCpusetV1(
      cpuset.mountPoint,
      ancestry(path).map((ancestor) => `${cpuset.mountPoint}${ancestor}`),
    );
  }
  applySteps(steps);
  undo.move();
  return groups;
}

/** The group's parents are passed down what it needs: they must exist, so after its directory was made. */
function delegate({ mountPoint }: ControllerFacts, path: string, delegation: Delegation): void {
  const parents = ancestry(path).slice(0, -1);
  delegateControllers([mountPoint, ...parents.map((parent) => `${mountPoint}${parent}`)], delegation);
}

/** Each mount once: co-mounted controllers share one, and so does all of v2. */
function mountsOf(facts: CgroupFacts, groups: ControllerGroups): readonly ControllerFacts[] {
  const found = [...groups.keys()].flatMap((name) => facts.controllers[name] ?? []);
  return [...new Map(found.map((mount) => [mount.mountPoint, mount])).values()];
}

function checkPresent(name: CgroupController, facts: CgroupFacts): void {
  if (facts.controllers[name] !== undefined) return;
  throw new CgroupError('CGROUP_CONTROLLER_OFF', `cannot use the ${name} controller: this machine does not offer it`);
}
