import type { CgroupController, ControllerGroup, ControllerGroups } from './controller.ts';
import { planBlkio } from './controllers/blkio.ts';
import { planCpu, type CpuBandwidth } from './controllers/cpu.ts';
import { planCpuset } from './controllers/cpuset.ts';
import { planDevices } from './controllers/devices.ts';
import { planMemory, type MemoryMaxima } from './controllers/memory.ts';
import { planPids } from './controllers/pids.ts';
import { CgroupError } from './errors.ts';
import type { CgroupFacts } from './facts.ts';
import type { CgroupLimits } from './limits.ts';
import type { CgroupStep } from './step.ts';

/** The controller that keeps each limit. */
const CONTROLLER_OF: Readonly<Record<keyof CgroupLimits, CgroupController>> = {
  memoryMaxBytes: 'memory',
  memoryReservationBytes: 'memory',
  memorySwapMaxBytes: 'memory',
  memorySwappiness: 'memory',
  oomKillDisable: 'memory',
  pidsMax: 'pids',
  cpuQuotaUs: 'cpu',
  cpuPeriodUs: 'cpu',
  cpuShares: 'cpu',
  devices: 'devices',
  blkioWeight: 'blkio',
  blkioThrottle: 'blkio',
  cpusetCpus: 'cpuset',
  cpusetMems: 'cpuset',
};

/** Limits of a group that is not new, which some changes depend on. */
export interface PresentLimits {
  readonly memory?: MemoryMaxima | undefined;
  readonly cpu?: CpuBandwidth | undefined;
}

export interface PlanContext {
  readonly facts: CgroupFacts;
  readonly groups: ControllerGroups;
  /** Left out for a new group. */
  readonly present?: PresentLimits | undefined;
}

const namesOf = (limits: CgroupLimits): readonly (keyof CgroupLimits)[] =>
  (Object.keys(CONTROLLER_OF) as (keyof CgroupLimits)[]).filter((name) => limits[name] !== undefined);

/** The controllers that these limits need. Pure. */
export const controllersFor = (limits: CgroupLimits): readonly CgroupController[] => [
  ...new Set(namesOf(limits).map((name) => CONTROLLER_OF[name])),
];

/**
 * The steps that set limits, in this order: memory, pids, cpu, devices, blkio, cpuset. Each controller's own order is
 * the one the kernel accepts. Pure: everything that can be refused without asking the kernel is refused here.
 *
 * @throws {@link CgroupError} `CGROUP_CONTROLLER_OFF`: the machine, or this group, lacks the controller of a limit
 * @throws {@link CgroupError} `CGROUP_LIMIT_INVALID`: a value is out of range, or contradicts another
 * @throws {@link CgroupError} `CGROUP_LIMIT_UNSUPPORTED`: this version of cgroups has no such limit
 */
export function planLimits(limits: CgroupLimits, context: PlanContext): readonly CgroupStep[] {
  for (const name of namesOf(limits)) checkAvailable(name, context);
  checkSwapAccounting(limits, context.facts);
  const present = context.present;
  const plan = (name: CgroupController, planOne: (group: ControllerGroup) => readonly CgroupStep[]): CgroupStep[] => {
    const group = context.groups.get(name);
    return group === undefined ? [] : [...planOne(group)];
  };
  return [
    ...plan('memory', (group) => planMemory(limits, group, present?.memory)),
    ...plan('pids', (group) => planPids(limits, group)),
    ...plan('cpu', (group) => planCpu(limits, group, present?.cpu)),
    ...plan('devices', (group) => planDevices(limits, group, present)),
    ...plan('blkio', (group) => planBlkio(limits, group)),
    ...plan('cpuset', (group) => planCpuset(limits, group)),
  ];
}

function checkAvailable(name: keyof CgroupLimits, { groups }: PlanContext): void {
  const controller = CONTROLLER_OF[name];
  if (groups.has(controller)) return;
  throw new CgroupError('CGROUP_CONTROLLER_OFF', `cannot set ${name}: the ${controller} controller is not there`);
}

function checkSwapAccounting({ memorySwapMaxBytes }: CgroupLimits, facts: CgroupFacts): void {
  if (facts.swapAccounting || memorySwapMaxBytes === undefined) return; // absent on v1 with swapaccount=0
  throw new CgroupError(
    'CGROUP_CONTROLLER_OFF',
    'cannot set memorySwapMaxBytes: the kernel does not account for swap; start it with swapaccount=1',
  );
}
