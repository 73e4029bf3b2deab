import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { openImageStore } from '@tsc/image';
import type { ImageStore } from '@tsc/image';

import { removeParentCgroup } from './cgroup.ts';
import { readAllRecords, sweep } from './cleaning.ts';
import { Followed } from './followed.ts';
import { Host } from './host.ts';
import { makeLayout } from './layout.ts';
import type { Layout } from './layout.ts';
import { BridgeNetworking } from './network.ts';
import { Trash } from './trash.ts';

/** What every part of an engine works with. */
export interface Context {
  readonly layout: Layout;
  readonly images: ImageStore;
  readonly host: Host;
  readonly network: BridgeNetworking;
  readonly trash: Trash;
  readonly followed: Followed;
  /** What a monitor runs when its container has ended and no engine is there; gets the container's id. */
  readonly cleanupCommand: readonly string[];
}

/** Makes the directories if need be and gathers the parts. Nothing is read but one small file. */
export async function openContext(layout: Layout): Promise<Context> {
  mkdirSync(layout.rootDir, { recursive: true, mode: 0o700 });
  makeLayout(layout);
  const layersInUse = (): string[] => readAllRecords(layout).flatMap(({ layerDirs }) => layerDirs);
  return {
    layout,
    images: await openImageStore({ rootDir: layout.rootDir, layersInUse }),
    host: new Host(),
    network: new BridgeNetworking(layout),
    trash: new Trash(),
    followed: new Followed(),
    cleanupCommand: [process.execPath, cleanupScript(), layout.rootDir, layout.runDir],
  };
}

/** Gives back what no container is left to need: bridge and rules, the cgroup above the containers'. */
export async function closeContext(context: Context): Promise<void> {
  await context.followed.close();
  context.trash.empty();
  await sweep(context);
  await context.network.close();
  removeParentCgroup(context.layout, context.host.cgroups);
}

/** `cleanup.js` lies beside the bundle; when Node runs the sources, so does `cleanup.ts`. */
const cleanupScript = (): string =>
  fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../dist/cleanup.js' : './cleanup.js', import.meta.url));
