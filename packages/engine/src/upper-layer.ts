import { lstatSync } from 'node:fs';
import { join } from 'node:path';

import { layerFromMembers, walkDirectory } from '@tsc/image';
import type { Layer, SourceMember } from '@tsc/image';
import { defaultSpec } from '@tsc/runtime';

import type { ContainerRecord } from './container-record.ts';
import type { ContainerPaths } from './layout.ts';

const NETWORK_FILES = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'];

/**
 * The files that a container has made, changed or removed, as members of a layer.
 *
 * To mount something, the runtime makes an empty file or directory where its image has none. Those are no changes of the
 * container's, and left out, with the directories that were only touched by making them.
 */
export function* upperMembers(paths: ContainerPaths, record: ContainerRecord): Generator<SourceMember, void, void> {
  const stubs = mountPoints(record);
  const above = new Set(['', ...[...stubs].flatMap(parentsOf)]);
  /** Directories that may turn out to be there for nothing but a mount. */
  let pending: SourceMember[] = [];
  for (const member of walkDirectory(join(paths.dir, 'upper'), { overlay: true })) {
    pending = pending.filter(({ name }) => name === '' || member.name.startsWith(`${name}/`));
    if (stubs.has(member.name) || above.has(member.name)) {
      const before = inImage(record, member.name);
      if (member.type === 'directory' && (before === undefined || isSame(before, member))) {
        pending.push(member);
        continue;
      }
      if (before === undefined && member.type === 'file' && member.size === 0) continue;
    }
    yield* pending;
    pending = [];
    yield member;
  }
}

/** What is mounted in it while it runs, without the leading slash. */
function mountPoints({ mounts }: ContainerRecord): ReadonlySet<string> {
  const always = defaultSpec({ args: [], seccomp: 'unconfined' }).mounts?.map(({ destination }) => destination) ?? [];
  const own = mounts.map(({ target }) => target);
  return new Set([...always, ...NETWORK_FILES, ...own].map((path) => path.split('/').filter(Boolean).join('/')));
}

const parentsOf = (path: string): string[] => {
  const parts = path.split('/');
  return parts.map((_, depth) => parts.slice(0, depth).join('/'));
};

interface Found {
  readonly isDirectory: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What the topmost layer that has the path has there. Nothing is opened, whatever links the layers have. */
function inImage({ layerDirs }: ContainerRecord, path: string): Found | undefined {
  for (const dir of layerDirs) {
    const stat = lstatSync(join(dir, path), { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (stat.isCharacterDevice() && stat.rdev === 0) return undefined;
    return { isDirectory: stat.isDirectory(), mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
  }
  return undefined;
}

const isSame = (before: Found, member: SourceMember): boolean =>
  before.isDirectory && before.mode === member.mode && before.uid === member.uid && before.gid === member.gid;

/** The changes as a layer that reads them when it is asked for; `undefined` when there are none. The container is held. */
export async function changesOf(
  paths: ContainerPaths,
  record: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<Layer | undefined> {
  if (isEmpty(upperMembers(paths, record))) return undefined;
  return layerFromMembers(() => upperMembers(paths, record), { signal });
}

function isEmpty(members: Iterable<SourceMember>): boolean {
  for (const _ of members) return false;
  return true;
}
