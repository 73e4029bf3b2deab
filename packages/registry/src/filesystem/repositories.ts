import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { isName } from '../names.ts';
import { compareBytes } from '../pagination.ts';
import { unlessMissing } from './durable.ts';
import { manifestDigests } from './manifests.ts';
import { repositoriesDir } from './layout.ts';

/** Whether a name, or everything below a prefix that ends in a slash, comes before or at `after` in byte order. */
function isPassed(place: string, after: string | undefined): boolean {
  if (after === undefined || (place.endsWith('/') && after.startsWith(place))) return false;
  return compareBytes(place, after) <= 0;
}

/**
 * Walks repositories that have a manifest, in byte order of their names, from behind `after` on. A tree is not in that
 * order: `a/b` comes behind `a-b`. So a directory is met twice, as `a` for itself and as `a/` for what is below it.
 */
export async function* walkRepositories(rootDir: string, after?: string, prefix = ''): AsyncGenerator<string> {
  const entries = (await unlessMissing(readdir(join(repositoriesDir(rootDir), prefix), { withFileTypes: true }))) ?? [];
  const components = entries.filter((entry) => entry.isDirectory() && isName(entry.name)).map(({ name }) => name);
  const places = components.flatMap((name) => [name, `${name}/`]).sort(compareBytes);
  for (const place of places) {
    const path = `${prefix}${place}`;
    if (isPassed(path, after)) continue;
    if (place.endsWith('/')) yield* walkRepositories(rootDir, after, path);
    else if (await hasManifest(rootDir, path)) yield path;
  }
}

async function hasManifest(rootDir: string, name: string): Promise<boolean> {
  for await (const _digest of manifestDigests(rootDir, name)) return true;
  return false;
}

/** Every repository, also one that has blobs only. */
export async function* everyRepository(rootDir: string, prefix = ''): AsyncGenerator<string> {
  const entries = (await unlessMissing(readdir(join(repositoriesDir(rootDir), prefix), { withFileTypes: true }))) ?? [];
  if (prefix !== '' && entries.some(({ name }) => name === '_blobs' || name === '_manifests'))
    yield prefix.slice(0, -1);
  for (const { name } of entries) if (isName(name)) yield* everyRepository(rootDir, `${prefix}${name}/`);
}
