import { closeSync, constants, existsSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { hasCode } from '@tsc/sys';

import type { ContainerRecord, ResolvedMount } from './container-record.ts';
import { openBelow } from './container-root.ts';
import { lockDirectory } from './lock.ts';
import { copyChildren, copyOwnership } from './tree-copy.ts';

type VolumeMount = Extract<ResolvedMount, { type: 'volume' }>;

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

function openImageDirectory(rootFd: number, target: string): number | undefined {
  try {
    return openBelow(rootFd, target, DIRECTORY);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

/** Beside a volume's files while they are being copied: where a kill left it, they are not all there. */
const UNFINISHED = 'unfinished';

async function fill({ noCopy, source, target }: VolumeMount, rootFd: number): Promise<void> {
  const dir = dirname(source);
  const unfinished = join(dir, UNFINISHED);
  const isFilled = (): boolean => !existsSync(unfinished) && readdirSync(source).length > 0;
  if (noCopy || isFilled()) return;
  using _held = await lockDirectory(dir);
  if (isFilled()) return; // by another container meanwhile
  if (existsSync(unfinished)) for (const name of readdirSync(source)) rmSync(join(source, name), { recursive: true });
  const from = openImageDirectory(rootFd, target);
  if (from === undefined) return;
  using opened = new DisposableStack();
  opened.adopt(from, closeSync);
  const to = opened.adopt(openSync(source, DIRECTORY), closeSync);
  writeFileSync(unfinished, '');
  copyChildren(from, to);
  copyOwnership(from, to);
  rmSync(unfinished);
}

/** Docker's rule for volumes: an empty one begins with what the image has in its place. */
export async function copyUp(record: ContainerRecord, rootFd: number): Promise<void> {
  for (const mount of record.mounts) if (mount.type === 'volume') await fill(mount, rootFd);
}
