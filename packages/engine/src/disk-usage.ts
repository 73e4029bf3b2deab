import type { BigIntStats, Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { ImageStore, StoreUsage } from '@tsc/image';
import { hasCode } from '@tsc/sys';

import type { CallOptions } from './api.ts';
import { readAllRecords } from './cleaning.ts';
import type { ContainerRecord } from './container-record.ts';
import { containerPaths, volumesDir } from './layout.ts';
import type { Layout } from './layout.ts';
import { observe } from './status.ts';

/** Where the disk went. All sizes are disk bytes, as `du` counts them: whole blocks, directories too, hard links once. */
export interface DiskUsage {
  readonly images: StoreUsage;
  /** How many containers each image has, by its id. */
  readonly imageContainers: ReadonlyMap<string, number>;
  readonly containers: readonly ContainerUsage[];
  readonly volumes: readonly VolumeUsage[];
}

export interface ContainerUsage {
  readonly id: string;
  /** Of what it has written, its log and its records: what goes with the container. */
  readonly sizeBytes: number;
  /** How many volumes it has. */
  readonly volumeCount: number;
  /** It runs, or is about to be started again. */
  readonly active: boolean;
}

export interface VolumeUsage {
  readonly name: string;
  /** The directory of its files. */
  readonly mountPoint: string;
  readonly sizeBytes: number;
  /** How many containers have it. */
  readonly linkCount: number;
}

/**
 * Measures what images, containers and volumes take on disk. Reads every directory entry once, a few at a time.
 *
 * @remarks Privilege: root.
 */
export async function measureDiskUsage(
  { images, layout }: { readonly images: ImageStore; readonly layout: Layout },
  { signal }: CallOptions = {},
): Promise<DiskUsage> {
  const records = readAllRecords(layout);
  const inUse = (): readonly string[] => records.map(({ imageId }) => imageId);
  return {
    images: await images.usage({ inUse, signal }),
    imageContainers: countBy(inUse()),
    containers: await measureContainers(layout, records, signal),
    volumes: await measureVolumes(layout, records, signal),
  };
}

async function measureContainers(
  layout: Layout,
  records: readonly ContainerRecord[],
  signal: AbortSignal | undefined,
): Promise<readonly ContainerUsage[]> {
  const usages: ContainerUsage[] = [];
  for (const record of records) {
    const paths = containerPaths(layout, record.id);
    const { status } = observe(paths, record);
    usages.push({
      id: record.id,
      sizeBytes: await diskBytes(paths.dir, signal),
      volumeCount: volumesOf(record).length,
      active: status === 'running' || status === 'restarting',
    });
  }
  return usages;
}

async function measureVolumes(
  layout: Layout,
  records: readonly ContainerRecord[],
  signal: AbortSignal | undefined,
): Promise<readonly VolumeUsage[]> {
  const links = countBy(records.flatMap(volumesOf));
  const dir = volumesDir(layout);
  const names = (await entriesOf(dir)).filter((entry) => entry.isDirectory()).map(({ name }) => name.toString());
  const usages: VolumeUsage[] = [];
  for (const name of names.toSorted()) {
    const sizeBytes = await diskBytes(join(dir, name), signal);
    usages.push({ name, mountPoint: join(dir, name, '_data'), sizeBytes, linkCount: links.get(name) ?? 0 });
  }
  return usages;
}

/** The volumes that a container has, each once. */
const volumesOf = ({ mounts }: ContainerRecord): readonly string[] => [
  ...new Set(mounts.flatMap((mount) => (mount.type === 'volume' ? [mount.name] : []))),
];

const countBy = (words: readonly string[]): ReadonlyMap<string, number> =>
  words.reduce((counts, word) => counts.set(word, (counts.get(word) ?? 0) + 1), new Map<string, number>());

/** Of a block in `stat`, whatever the file system's own block is. */
const BLOCK_BYTES = 512n;
/** How many entries are looked at together: enough to keep the disk busy. */
const AT_ONCE = 64;

/**
 * Disk bytes of a directory and all below it, as `du -x` counts them. What is removed while it is measured counts nothing.
 *
 * @param path - of any directory; file systems that are mounted in it are left out
 */
export async function diskBytes(path: string, signal?: AbortSignal): Promise<number> {
  const top = await statOf(Buffer.from(path));
  if (top === undefined) return 0;
  const linked = new Set<string>();
  let blocks = top.blocks;
  const dirs: Buffer[] = [Buffer.from(path)];
  for (let dir = dirs.pop(); dir !== undefined; dir = dirs.pop()) {
    signal?.throwIfAborted();
    const below = dir;
    const files = (await entriesOf(below)).map(({ name }) => Buffer.concat([below, Buffer.from('/'), name]));
    for (let at = 0; at < files.length; at += AT_ONCE) {
      const some = files.slice(at, at + AT_ONCE);
      const stats = await Promise.all(some.map(statOf));
      for (const [i, stat] of stats.entries()) {
        if (stat === undefined || stat.dev !== top.dev || isCounted(stat, linked)) continue;
        blocks += stat.blocks;
        if (stat.isDirectory()) dirs.push(some[i] as Buffer);
      }
    }
  }
  return Number(blocks * BLOCK_BYTES);
}

/** True for the second and later names of a file with several. */
function isCounted(stat: BigIntStats, linked: Set<string>): boolean {
  if (stat.isDirectory() || stat.nlink < 2n) return false;
  const key = String(stat.ino);
  if (linked.has(key)) return true;
  linked.add(key);
  return false;
}

/** Names as bytes: in an image they may be no text at all. */
async function entriesOf(dir: string | Buffer): Promise<readonly Dirent<Buffer>[]> {
  try {
    return await readdir(dir, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

async function statOf(path: Buffer): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
