import {
  closeSync,
  constants,
  fchmodSync,
  lchownSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { unpackArchive } from '@tsc/image';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';
import type { CopyPlan } from './plan.ts';

export interface PlaceOptions {
  /** Keeps the container's owners; otherwise everything becomes the caller's. */
  readonly keepOwners: boolean;
  /** The name of the archive's only member, when it has one. */
  readonly memberName: string | undefined;
}

/**
 * Unpacks an archive that a container gave into a directory here. Everything is first unpacked into a private
 * directory beside its destination, below which nothing of the archive can lead away, and then moved into place name by
 * name: no link that the container made, or that lies at the destination, is followed.
 */
export async function placeArchive(archive: Readable, plan: CopyPlan, options: PlaceOptions): Promise<void> {
  using staging = makeStaging(plan.directory);
  await unpackArchive(archive, staging.dir);
  if (!options.keepOwners) takeOver(staging.dir);
  const unpacked = rootOf(staging.dir, options.memberName);
  if (plan.name === undefined) moveContents(unpacked, plan.directory);
  else moveInto(unpacked, join(plan.directory, plan.name));
}

function makeStaging(directory: string): Disposable & { readonly dir: string } {
  let dir: string;
  try {
    dir = mkdtempSync(join(directory, '.tsc-cp-'));
  } catch (error) {
    throw failed(
      codeOf(error) === 'ENOENT'
        ? `no such directory: ${directory}`
        : `cannot write to ${directory}: ${codeOf(error) ?? 'failed'}`,
      error,
    );
  }
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

const rootOf = (staging: string, memberName: string | undefined): string => {
  const [only, ...more] = readdirSync(staging);
  return only !== undefined && more.length === 0 && only === memberName ? join(staging, only) : staging;
};

function* walk(path: string): Generator<string, void, void> {
  yield path;
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) yield* walk(join(path, name));
}

function takeOver(staging: string): void {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  for (const path of walk(staging)) {
    const stat = lstatSync(path);
    if (stat.uid !== uid || stat.gid !== gid) lchownSync(path, uid, gid);
  }
}

function moveContents(from: string, to: string): void {
  for (const name of readdirSync(from)) moveInto(join(from, name), join(to, name));
}

/** Directories are merged, files replaced; one never takes the place of the other. */
function moveInto(from: string, to: string): void {
  const target = lstatSync(to, { throwIfNoEntry: false });
  const isDirectory = lstatSync(from).isDirectory();
  if (target === undefined) {
    move(from, to);
    return;
  }
  if (isDirectory && !target.isDirectory()) throw failed(`cannot overwrite non-directory "${to}" with directory`);
  if (!isDirectory && target.isDirectory()) throw failed(`cannot overwrite directory "${to}" with non-directory`);
  if (!isDirectory) {
    move(from, to);
    return;
  }
  moveContents(from, to);
  changeMode(to, lstatSync(from).mode & 0o7777);
  rmdirSync(from);
}

/** Of a directory that was there a moment ago, and may be a link now. */
function changeMode(directory: string, mode: number): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw failed(`cannot write ${to}: ${codeOf(error) ?? 'failed'}`, error);
  }
}
