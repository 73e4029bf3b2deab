import { closeSync, constants, fstatSync, readFileSync } from 'node:fs';

import { forgetVolatile, mountOverlay } from '@tsc/overlay';
import type { OverlayMount } from '@tsc/overlay';
import { RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, hasCode, openat2 } from '@tsc/sys';
import { join } from 'node:path';

import type { ContainerRecord } from './container-record.ts';
import { EngineError } from './errors.ts';
import { containerPaths, mountPointsDir } from './layout.ts';
import type { Layout } from './layout.ts';

/** An /etc/passwd or /etc/group larger than this is no user database but an attack (CVE-2026-47262). */
const MAX_DATABASE_BYTES = 10 * 1024 ** 2;

/** Mounts a container's root file system where only the holder of its descriptor sees it. */
export function mountRoot(layout: Layout, record: ContainerRecord): OverlayMount {
  const paths = containerPaths(layout, record.id);
  const workDir = join(paths.dir, 'work');
  // The mark of an earlier volatile mount guards against lost writes after a crash; these files don't outlive one.
  const volatile = record.spec.autoRemove === true;
  if (volatile) forgetVolatile(workDir);
  return mountOverlay({
    lowerDirs: [...record.layerDirs, mountPointsDir(layout)],
    upperDir: join(paths.dir, 'upper'),
    workDir,
    volatile,
  });
}

/** Opens a path as the container would see it: links, `..` and absolute names stay below its root. */
export function openBelow(rootFd: number, path: string, flags: number): number {
  const relative = path.replace(/^\/+/, '');
  return openat2(rootFd, relative === '' ? '.' : relative, {
    flags,
    resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  });
}

/**
 * A small text file of the container, or '' when there is none. What an image may have put there instead (a FIFO, a
 * device, a file of gigabytes) is neither waited for nor read.
 */
export function readDatabase(rootFd: number, path: string): string {
  let fd: number;
  try {
    fd = openBelow(rootFd, path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return '';
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return '';
    if (stat.size > MAX_DATABASE_BYTES) {
      throw new EngineError('ENGINE_START_FAILED', `${path} of the container is larger than 10 MiB`, { path });
    }
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}
