import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';

import { CgroupError, errnoOf } from './errors.ts';

/** How often a parent that another process keeps removing is made again before we give up. */
const ATTEMPTS = 100;

/**
 * Makes a cgroup's directory and the missing ones above it, and returns those it made, topmost first. Another process
 * may remove an empty parent between our making it and our making the child: then it is made again.
 *
 * @throws {@link CgroupError} `CGROUP_EXISTS`
 */
export function makeGroupDirectory(mountPoint: string, path: string): readonly string[] {
  const directory = `${mountPoint}${path}`;
  const made = new Set<string>();
  for (let attempt = 1; ; attempt++) {
    try {
      mkdirSync(directory);
      return [...made, directory];
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EEXIST')
        throw new CgroupError('CGROUP_EXISTS', `cannot create ${directory}: exists already`, {
          path: directory,
          errno,
          cause: error,
        });
      if (errno !== 'ENOENT' || attempt === ATTEMPTS) throw refused(directory, error);
      for (const parent of makeParents(mountPoint, path)) made.add(parent);
    }
  }
}

function makeParents(mountPoint: string, path: string): readonly string[] {
  const names = path.split('/').slice(1, -1);
  const parents = names.map((_, index) => `${mountPoint}/${names.slice(0, index + 1).join('/')}`);
  return parents.filter((parent) => {
    try {
      mkdirSync(parent);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOENT') return false;
      throw refused(parent, error);
    }
  });
}

function refused(directory: string, cause: unknown): CgroupError {
  const errno = errnoOf(cause);
  return new CgroupError('CGROUP_WRITE_REFUSED', `cannot create ${directory}: ${String(errno)}`, {
    path: directory,
    errno,
    cause,
  });
}

/** The child groups' directories, full paths. */
export function childDirectories(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${directory}/${name}`);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** EBUSY of a cgroup, ENOTEMPTY of any other directory. */
const OCCUPIED: ReadonlySet<string | undefined> = new Set(['EBUSY', 'ENOTEMPTY']);

/**
 * Removes a group that has neither processes nor child groups; says whether it is gone.
 *
 * @throws {@link CgroupError} `CGROUP_WRITE_REFUSED` for any other reason than being occupied
 */
export function removeGroupDirectory(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === 'ENOENT') return true;
    if (OCCUPIED.has(errno)) return false;
    throw new CgroupError('CGROUP_WRITE_REFUSED', `cannot remove ${directory}: ${String(errno)}`, {
      path: directory,
      errno,
      cause,
    });
  }
}

/** Removes a group and the groups below it, deepest first; says whether all are gone. Only rmdir: nothing is lost. */
export function removeGroupTree(directory: string): boolean {
  if (removeGroupDirectory(directory)) return true;
  const children = childDirectories(directory);
  const gone = children.map(removeGroupTree);
  return children.length > 0 && gone.every(Boolean) && removeGroupDirectory(directory);
}
