import { rmdirSync } from 'node:fs';
import { basename } from 'node:path';

import { createCgroup, isCgroupError, openCgroup } from '@tsc/cgroups';
import type { Cgroup, CgroupFacts, CgroupLimits } from '@tsc/cgroups';
import type { CgroupEntry } from '@tsc/runtime';
import { hasCode } from '@tsc/sys';

import { kernelName } from './layout.ts';
import type { Layout } from './layout.ts';

export const cgroupPath = (layout: Layout, id: string): string => `/${kernelName(layout)}/${id}`;

/** A fresh cgroup. One that a killed engine left behind under this name is emptied and taken away first. */
export async function makeCgroup(path: string, facts: CgroupFacts, limits: CgroupLimits): Promise<Cgroup> {
  try {
    return createCgroup(path, { facts, limits });
  } catch (error) {
    if (!isCgroupError(error) || error.code !== 'CGROUP_EXISTS') throw error;
    await removeCgroup(path, facts);
    return createCgroup(path, { facts, limits });
  }
}

/** Takes hold of a container's cgroup, if it is there. */
export function findCgroup(path: string, facts: CgroupFacts): Cgroup | undefined {
  try {
    return openCgroup(path, { facts });
  } catch (error) {
    if (isCgroupError(error) && error.code === 'CGROUP_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Ends whatever is still in a cgroup and removes it. */
export async function removeCgroup(path: string, facts: CgroupFacts): Promise<void> {
  const cgroup = findCgroup(path, facts);
  if (cgroup === undefined) return;
  if (cgroup.populated()) await cgroup.killAll();
  await cgroup.destroy();
}

/** Removes the directories above the containers' groups, where they are empty: the next container makes them again. */
export function removeParentCgroup(layout: Layout, facts: CgroupFacts): void {
  const mountPoints = new Set(Object.values(facts.controllers).map(({ mountPoint }) => mountPoint));
  for (const mountPoint of mountPoints) {
    try {
      rmdirSync(`${mountPoint}/${kernelName(layout)}`);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'EBUSY', 'ENOTEMPTY')) throw error;
    }
  }
}

/** What a start program needs of a cgroup. */
export function cgroupEntry(cgroup: Cgroup, facts: CgroupFacts): Omit<CgroupEntry, 'directory'> {
  const byMount = new Map<string, string>();
  for (const group of Object.values(facts.controllers)) {
    const directory = `${group.mountPoint}${cgroup.path}`;
    if (group.version === 1 && cgroup.directories.includes(directory))
      byMount.set(basename(group.mountPoint), directory);
  }
  const v2 = facts.unifiedMountPoint === undefined ? undefined : `${facts.unifiedMountPoint}${cgroup.path}`;
  return {
    joinTargets: cgroup.joinTargets(),
    v1Mounts: [...byMount].map(([controller, hostPath]) => ({ controller, hostPath })),
    v2Mount: v2 !== undefined && cgroup.directories.includes(v2) ? v2 : undefined,
  };
}
