import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { Place } from '../contender.ts';
import type { BenchRegistry } from './daemon.ts';
import type { Fixture } from './fixture.ts';
import { commandLine, startLibrary } from './ours.ts';
import { docker, gnuTar, podman, skopeoAndUmoci, type Peer } from './peers.ts';
import { commandTransfer, type Column, type CommandTransfer, type Transfer } from './transfer.ts';

export interface Setting {
  readonly place: Pick<Place, 'dir' | 'runDir'>;
  readonly fixture: Fixture;
  /** Where the five-layer image is, and where it is pushed to. */
  readonly source: BenchRegistry;
  readonly target: BenchRegistry;
  /** Columns to leave out. */
  readonly without: readonly string[];
}

export const ROWS = ['unpack', 'pull', 'push', 'load'] as const;
export type RowName = (typeof ROWS)[number];

/** What the fixture's image is called at the source. */
export const IMAGE = 'bench/five:1';
const LOADED = 'bench:load';

type Recipe = Omit<CommandTransfer, 'column'>;

/** Asks each peer in turn for what it has to offer for a row; those that are not installed have nothing. */
export async function transfersOf(row: RowName, setting: Setting, stack: AsyncDisposableStack): Promise<Transfer[]> {
  const peers = await findPeers(setting, stack);
  const found = [...peers].flatMap(([column, peer]) => {
    if (setting.without.includes(column)) return [];
    const recipe = recipeOf(row, peer, setting);
    if (recipe === undefined) return [];
    // Whatever was pushed is forgotten before the next one pushes.
    const reset = row === 'push' ? setting.target.reset : recipe.reset;
    return [commandTransfer({ ...recipe, reset, column })];
  });
  return [...found, await ownTransfer(row, setting, stack)];
}

async function findPeers({ place }: Setting, stack: AsyncDisposableStack): Promise<Map<Column, Peer>> {
  const peers: readonly (readonly [Column, Peer | undefined])[] = [
    ['GNU tar', gnuTar(place)],
    ['docker', await docker(place)],
    ['podman', podman(place)],
    ['skopeo + umoci', skopeoAndUmoci(place)],
    ['tsc', commandLine(place)],
  ];
  return new Map(peers.flatMap(([column, peer]) => (peer === undefined ? [] : [[column, stack.use(peer)] as const])));
}

function recipeOf(row: RowName, peer: Peer, { fixture, source, target }: Setting): Recipe | undefined {
  if (row === 'unpack') return peer.unpack?.(fixture.layers[0] ?? '');
  if (row === 'pull') return peer.pull?.(`${source.address}/${IMAGE}`, fixture.layers);
  if (row === 'push') return peer.push?.(`${source.address}/${IMAGE}`, `${target.address}/${IMAGE}`);
  return peer.load?.(fixture.archive, LOADED);
}

async function ownTransfer(row: RowName, setting: Setting, stack: AsyncDisposableStack): Promise<Transfer> {
  const { place, fixture, source, target } = setting;
  const rootDir = join(place.dir, 'own');
  const reset = (): void => {
    rmSync(rootDir, { recursive: true, force: true });
    mkdirSync(rootDir, { recursive: true });
  };
  reset();
  const reference = `${source.address}/${IMAGE}`;
  if (row === 'push') {
    await using other = startLibrary(); // whose memory isn't that of a push
    await other.perform({ task: 'pull', rootDir, reference });
  }
  const library = stack.use(startLibrary());
  switch (row) {
    case 'unpack':
      return library.transfer({ task: 'unpack', layer: fixture.layers[0] ?? '', dir: rootDir }, reset);
    case 'pull':
      return library.transfer({ task: 'pull', rootDir, reference }, reset);
    case 'push':
      return library.transfer(
        { task: 'push', rootDir, source: reference, target: `${target.address}/${IMAGE}` },
        () => {
          target.reset();
        },
      );
    case 'load':
      return library.transfer({ task: 'load', rootDir, archive: fixture.archive }, reset);
  }
}
