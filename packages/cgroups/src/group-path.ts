import { CONTROLLERS, type CgroupController, type ControllerGroups } from './controller.ts';
import { CgroupError } from './errors.ts';
import type { CgroupFacts } from './facts.ts';

/**
 * Accepts `/tsc/abc`: absolute, below the root, without `.`, `..`, empty or over-long names. Such a path cannot leave
 * the cgroup mount whoever wrote it.
 *
 * @throws {@link CgroupError} `CGROUP_PATH_INVALID`
 */
export function checkGroupPath(path: string): void {
  const names = path.split('/').slice(1);
  if (path.startsWith('/') && names.every(isName)) return;
  const expected = 'must be absolute, below the root, and free of empty, "." and ".." names';
  throw new CgroupError('CGROUP_PATH_INVALID', `cannot use cgroup path ${JSON.stringify(path)}: ${expected}`, { path });
}

/** @throws {@link CgroupError} `CGROUP_PATH_INVALID` */
export function checkGroupName(name: string): void {
  if (isName(name)) return;
  throw new CgroupError(
    'CGROUP_PATH_INVALID',
    `cannot use cgroup name ${JSON.stringify(name)}: must be one path segment`,
    {
      path: name,
    },
  );
}

// Kernel names hold no newline, because /proc/pid/cgroup has a line each.
const isName = (name: string): boolean =>
  name !== '.' && name !== '..' && /^[^/\0\n]+$/.test(name) && Buffer.byteLength(name) <= 255;

/** Where these controllers have the group's directories. Pure. */
export const groupsAt = (path: string, facts: CgroupFacts, names: readonly CgroupController[]): ControllerGroups =>
  new Map(
    CONTROLLERS.flatMap((name) => {
      const found = facts.controllers[name];
      if (found === undefined || !names.includes(name)) return [];
      return [[name, { version: found.version, directory: `${found.mountPoint}${path}` }] as const];
    }),
  );

/** The groups' directories, each once: co-mounted controllers and all of v2 share one. v1 comes first. */
export const directoriesOf = (groups: ControllerGroups): readonly string[] => [
  ...new Set(
    [...groups.values()].toSorted((one, other) => one.version - other.version).map(({ directory }) => directory),
  ),
];

/** `/tsc/abc` → `['/tsc', '/tsc/abc']` */
export const ancestry = (path: string): readonly string[] =>
  path
    .split('/')
    .slice(1)
    .map((_, index, names) => `/${names.slice(0, index + 1).join('/')}`);
