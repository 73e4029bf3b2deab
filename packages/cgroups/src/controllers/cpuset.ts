import type { ControllerGroup } from '../controller.ts';
import { readInterfaceFile, writeInterfaceFile } from '../interface-file.ts';
import { invalidLimit } from '../limit-value.ts';
import type { CgroupLimits } from '../limits.ts';
import { write, type CgroupWrite } from '../step.ts';

const CPUS = 'cpuset.cpus';
const MEMS = 'cpuset.mems';

const LIST = /^\d+(-\d+)?(,\d+(-\d+)?)*$/;

/** The writes that pin a group to CPUs and memory nodes; both versions have the same files. Pure. */
export const planCpuset = (limits: CgroupLimits, group: ControllerGroup): readonly CgroupWrite[] => [
  ...planList('cpusetCpus', limits.cpusetCpus, { group, file: CPUS }),
  ...planList('cpusetMems', limits.cpusetMems, { group, file: MEMS }),
];

function planList(
  name: 'cpusetCpus' | 'cpusetMems',
  list: string | undefined,
  { group, file }: { readonly group: ControllerGroup; readonly file: string },
): CgroupWrite[] {
  if (list === undefined) return [];
  if (!LIST.test(list)) throw invalidLimit(name, list, "a list such as '0-3,7'");
  return [write(group, file, list)];
}

/**
 * Fills in the CPUs and memory nodes of a new v1 group from its parent's: v1 starts with none, and a process cannot
 * join a group that has none (ENOSPC).
 *
 * @param directories - from the first below the mount down to the group itself, because another process may have made
 *   one of them just now and not have filled it in
 */
export function inheritCpusetV1(mountPoint: string, directories: readonly string[]): void {
  for (const file of [CPUS, MEMS]) {
    let parents = readInterfaceFile(`${mountPoint}/${file}`).trim();
    for (const directory of directories) {
      const own = readInterfaceFile(`${directory}/${file}`).trim();
      if (own === '') writeInterfaceFile(`${directory}/${file}`, parents);
      else parents = own;
    }
  }
}
