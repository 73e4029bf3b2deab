export { createCgroup, openCgroup } from './cgroup.ts';
export type {
  Cgroup,
  ChildOptions,
  CreateCgroupOptions,
  DestroyOptions,
  JoinTarget,
  OpenCgroupOptions,
} from './cgroup.ts';
export { CONTROLLERS, DEFAULT_CONTROLLERS } from './controller.ts';
export type { CgroupController, ControllerGroup, ControllerGroups } from './controller.ts';
export type { BlkioDeviceStats } from './controllers/blkio.ts';
export type { CpuBandwidth, ThrottlingStats } from './controllers/cpu.ts';
export type { CpuTime } from './controllers/cpuacct.ts';
export type { MemoryMaxima, MemoryStats } from './controllers/memory.ts';
export type { PidsStats } from './controllers/pids.ts';
export { CgroupError, isCgroupError } from './errors.ts';
export type { CgroupErrorCode, CgroupErrorDetails } from './errors.ts';
export { probeCgroups } from './facts.ts';
export type { CgroupFacts, ControllerFacts, ProbeOptions } from './facts.ts';
export { groupsAt } from './group-path.ts';
export { cpusToQuota } from './limits.ts';
export type { BlkioThrottle, CgroupLimits, CgroupMaximum, DeviceRule } from './limits.ts';
export { planLimits } from './plan.ts';
export type { PlanContext, PresentLimits } from './plan.ts';
export type { CgroupStats } from './stats.ts';
export type { CgroupDeviceProgram, CgroupStep, CgroupWrite } from './step.ts';
export type { WaitOptions } from './waiting.ts';
