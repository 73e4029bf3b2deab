import { existsSync, readdirSync, rmSync } from 'node:fs';

import { cgroupPath, findCgroup, removeCgroup } from './cgroup.ts';
import type { ContainerRecord } from './container-record.ts';
import { readContainerRecord, writeContainerRecord } from './container-record.ts';
import { releaseName } from './container-name.ts';
import type { Context } from './context.ts';
import { containerPaths, containersDir } from './layout.ts';
import type { ContainerPaths, Layout } from './layout.ts';
import { readRecord } from './record-file.ts';
import { shouldRestart } from './restart-policy.ts';
import { exitCodeOf, observe } from './status.ts';
import type { ExitFile } from './status.ts';
import { removeVolume } from './volumes.ts';

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
  if (record.state.network !== undefined) await context.network.disconnect(record.state.network);
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
  rmSync(paths.runDir, { recursive: true, force: true });
  return ended;
}

/** Removes a container that doesn't run, and its anonymous volumes if asked. The caller holds its lock. */
export function discard(context: Context, record: ContainerRecord, { volumes }: { readonly volumes: boolean }): void {
  const paths = containerPaths(context.layout, record.id);
  // The record first: from then on the container is gone, and what a kill leaves of its directory is swept later.
  rmSync(paths.record, { force: true });
  releaseName(context.layout, record.name, record.id);
  rmSync(paths.runDir, { recursive: true, force: true });
  context.trash.add(paths.dir);
  if (!volumes) return;
  for (const mount of record.mounts) {
    if (mount.type === 'volume' && mount.anonymous) removeVolume(context.layout, mount.name);
  }
}

/** Every container there is, in no order. Directories without a record are being made, or are what a kill left. */
export function readAllRecords(layout: Layout): readonly ContainerRecord[] {
  return readdirSync(containersDir(layout)).flatMap((id) => {
    const record = readContainerRecord(containerPaths(layout, id));
    return record === undefined ? [] : [record];
  });
}

/** Takes back addresses whose containers are gone without having given them back. */
export async function sweepLeases(context: Context): Promise<void> {
  for (const [address, id] of context.network.leases()) {
    if (existsSync(containerPaths(context.layout, id).dir)) continue;
    await context.network.releaseLease(address);
  }
}
