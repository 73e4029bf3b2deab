import type { CgroupController } from './controller.ts';
import { V2_NAMES } from './controller.ts';
import { isCgroupError } from './errors.ts';
import { readInterfaceFile, writeInterfaceFile } from './interface-file.ts';

const SUBTREE_CONTROL = 'cgroup.subtree_control';

export interface Delegation {
  /** Tried together with `required`; one that the kernel refuses is left out. */
  readonly wanted: readonly CgroupController[];
  /** Those without which the group is of no use. */
  readonly required: readonly CgroupController[];
}

/**
 * On v2 a group has the controllers that its parent passes down: enables them in each of `parents`, topmost first.
 *
 * @throws CgroupError `CGROUP_WRITE_REFUSED`: EBUSY when a parent has processes of its own
 */
export function delegateControllers(parents: readonly string[], { wanted, required }: Delegation): void {
  const wantedNames = namesOf([...required, ...wanted]);
  const requiredNames = namesOf(required);
  if (wantedNames.length === 0) return;
  for (const parent of parents) {
    const path = `${parent}/${SUBTREE_CONTROL}`;
    const enabled = readInterfaceFile(path).trim().split(' ');
    enable(
      path,
      wantedNames.filter((name) => !enabled.includes(name)),
      requiredNames,
    );
  }
}

function enable(path: string, names: readonly string[], required: readonly string[]): void {
  if (names.length === 0) return;
  try {
    writeInterfaceFile(path, names.map((name) => `+${name}`).join(' '));
  } catch (error) {
    // One write is all or nothing: find out which one it was.
    if (names.length > 1) for (const name of names) enable(path, [name], required);
    else if (!isCgroupError(error) || names.some((name) => required.includes(name))) throw error;
  }
}

const namesOf = (controllers: readonly CgroupController[]): readonly string[] => [
  ...new Set(controllers.flatMap((name) => V2_NAMES[name] ?? [])),
];
