import { closeSync, constants, openSync, readdirSync } from 'node:fs';

import { hasCode } from '@tsc/sys';

import type { ContainerRecord, ResolvedMount } from './container-record.ts';
import { openBelow } from './container-root.ts';
import { copyChildren, copyOwnership } from './tree-copy.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

function openImageDirectory(rootFd: number, target: string): number | undefined {
  try {
    return openBelow(rootFd, target, DIRECTORY);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

function fill(volume: Extract<ResolvedMount, { type: 'volume' }>, rootFd: number): void {
  if (volume.noCopy || readdirSync(volume.source).length > 0) return;
  const from = openImageDirectory(rootFd, volume.target);
  if (from === undefined) return;
  const to = openSync(volume.source, DIRECTORY);
  try {
    copyChildren(from, to);
    copyOwnership(from, to);
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

/** Docker's rule for volumes: an empty one begins with what the image has in its place. */
export function copyUp(record: ContainerRecord, rootFd: number): void {
  for (const mount of record.mounts) if (mount.type === 'volume') fill(mount, rootFd);
}
