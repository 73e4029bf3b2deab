import { existsSync, readdirSync, rmSync } from 'node:fs';

import { cgroupPath, findCgroup, removeCgroup } from './cgroup.ts';
import type { ContainerRecord } from './container-record.ts';
import { readContainerRecord, writeContainerRecord } from './container-record.ts';
import { namesOf, releaseName } from './container-name.ts';
import type { Context } from './context.ts';
import { containerPaths, containersDir } from './layout.ts';
import type { ContainerPaths, Layout } from './layout.ts';
import { tryLock } from './lock.ts';
import { readRecord } from './record-file.ts';
import { shouldRestart } from './restart-policy.ts';
import { exitCodeOf, observe } from './status.ts';
import type { ExitFile } from './status.ts';
import { removeAnonymous } from './volumes.ts';

function countOomKills(context: Context, id: string): number {
  const cgroup = findCgroup(cgroupPath(context.layout, id), context.host.cgroups);
  return cgroup?.oomKills() ?? 0;
}

/**
 * Gives back what a container that has ended still has (cgroup, address, ports) and records how it ended. The caller
 * holds the container's lock. Done twice, or after having been killed half way, it finishes the rest.
 */
export async function cleanUp(
  context: Context,
  paths: ContainerPaths,
  record: ContainerRecord,
): Promise<ContainerRecord> {
  if (record.state.phase !== 'started') return record;
  const exit = readRecord<ExitFile>(paths.exit);
  const observation = observe(paths, record);
  const oomKilled = countOomKills(context, record.id) > 0;
  await removeCgroup(cgroupPath(context.layout, record.id), context.host.cgroups);
  await context.network.disconnect(record.id);
  const exitCode = exitCodeOf(exit);
  const restarting = shouldRestart(record, exitCode);
  const ended: ContainerRecord = {
    ...record,
    state: {
      ...record.state,
      phase: 'ended',
      startedAt: observation.startedAt,
      finishedAt: exit?.finishedAt ?? new Date().toISOString(),
      exitCode,
      oomKilled,
      network: undefined,
      restarting,
    },
  };
  // What is about to be removed needs no last record.
  if (record.spec.autoRemove !== true) writeContainerRecord(paths, ended);
  // The files in /run stay: by the lock among them others see when the monitor is gone, and what it held is free.
  return ended;
}

/** Removes a container that doesn't run, and its anonymous volumes if asked. The caller holds its lock. */
export async function discard(
  context: Context,
  record: ContainerRecord,
  { volumes }: { readonly volumes: boolean },
): Promise<void> {
  const paths = containerPaths(context.layout, record.id);
  await context.network.disconnect(record.id); // it has something left if its start was killed
  // Volumes before the record, which alone knows which of them are the container's own.
  if (volumes) removeAnonymous(context.layout, record.mounts);
  // From here on the container is gone, and what a kill leaves of its directory is swept later.
  rmSync(paths.record, { force: true });
  releaseName(context.layout, record.name, record.id);
  rmSync(paths.runDir, { recursive: true, force: true });
  context.trash.add(paths.dir);
}

/** Every container there is, in no order. Directories without a record are being made, or are what a kill left. */
export function readAllRecords(layout: Layout): readonly ContainerRecord[] {
  return readdirSync(containersDir(layout)).flatMap((id) => {
    const record = readContainerRecord(containerPaths(layout, id));
    return record === undefined ? [] : [record];
  });
}

/** Takes back what killed processes left of containers that nobody can see: directories, names, addresses, ports. */
export async function sweep(context: Context): Promise<void> {
  const { layout } = context;
  for (const id of readdirSync(containersDir(layout))) sweepDirectory(layout, id);
  for (const id of context.network.holders()) {
    if (!existsSync(containerPaths(layout, id).dir)) await context.network.disconnect(id);
  }
}

/** A directory without a record that nobody holds belongs to no container: one that is being made is held. */
function sweepDirectory(layout: Layout, id: string): void {
  const paths = containerPaths(layout, id);
  if (existsSync(paths.record)) return;
  using held = tryLock(paths.dir);
  if (held === undefined || existsSync(paths.record)) return;
  for (const name of namesOf(layout, id)) releaseName(layout, name, id);
  rmSync(paths.runDir, { recursive: true, force: true });
  rmSync(paths.dir, { recursive: true, force: true });
}
