import type { CgroupController, ControllerGroup, ControllerGroups } from './controller.ts';
import { readBlkioStats, type BlkioDeviceStats } from './controllers/blkio.ts';
import { readCpuTime, type CpuTime } from './controllers/cpuacct.ts';
import { readThrottling, type ThrottlingStats } from './controllers/cpu.ts';
import { readMemoryStats, type MemoryStats } from './controllers/memory.ts';
import { readPidsStats, type PidsStats } from './controllers/pids.ts';

/** What a group's processes use, those of its child groups included. A part is `undefined` without its controller. */
export interface CgroupStats {
  readonly memory: MemoryStats | undefined;
  readonly cpu: CpuTime | undefined;
  readonly throttling: ThrottlingStats | undefined;
  readonly pids: PidsStats | undefined;
  /** One for each device that was used. */
  readonly blkio: readonly BlkioDeviceStats[] | undefined;
}

/** Reads about ten small files. */
export function readStats(groups: ControllerGroups): CgroupStats {
  const from = <T>(name: CgroupController, read: (group: ControllerGroup) => T): T | undefined => {
    const group = groups.get(name);
    return group === undefined ? undefined : read(group);
  };
  return {
    memory: from('memory', readMemoryStats),
    cpu: from('cpuacct', readCpuTime),
    throttling: from('cpu', readThrottling),
    pids: from('pids', readPidsStats),
    blkio: from('blkio', readBlkioStats),
  };
}
