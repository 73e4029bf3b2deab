import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { openEngine } from '@tsc/engine';
import type { ContainerSpec, Engine } from '@tsc/engine';
import { importImage } from '@tsc/image';

import { run } from './command.ts';
import type { Contender, Contenders, Place } from './contender.ts';

export const CROWD = 50;
const IMAGE = 'bench';

type Network = Exclude<ContainerSpec['network'], undefined>;

async function startOne(engine: Engine, network: Network): Promise<void> {
  const running = await engine.run({ image: IMAGE, command: ['/bin/true'], network, autoRemove: true });
  const code = await running.wait();
  if (code !== 0) throw new Error(`engine.run: exit code ${code}`);
}

/** The engine removes directories of containers that are gone when it has nothing better to do. */
async function untilNoneIsLeft({ rootDir }: Engine): Promise<void> {
  while (readdirSync(join(rootDir, 'containers')).length > 0) await sleep(5);
}

const alone = (engine: Engine, network: Network): Contender => ({
  name: `engine.run, ${network}`,
  start: () => startOne(engine, network),
  settle: () => untilNoneIsLeft(engine),
});

const crowd = (engine: Engine, network: Network): Contender => ({
  name: `${CROWD} engine.run at once, ${network}`,
  start: async () => {
    await Promise.all(Array.from({ length: CROWD }, () => startOne(engine, network)));
  },
  settle: () => untilNoneIsLeft(engine),
});

const commandLine = (engine: Engine, network: Network): Contender => {
  const program = join(import.meta.dirname, '../packages/cli/bin/tsc');
  const roots = ['--root', engine.rootDir, '--run-root', engine.runDir];
  const args = [...roots, 'run', '--rm', '--network', network, IMAGE, '/bin/true'];
  return { name: `tsc run --rm, ${network}`, start: () => run(program, args) };
};

/** Our own: the engine in this process, one container and many, and the command line as anybody calls it. */
export async function ownContenders(place: Place): Promise<Contenders> {
  const engine = await openEngine({ rootDir: join(place.dir, 'tsc'), runDir: join(place.runDir, 'tsc') });
  await importImage(engine.images, place.archive, { reference: IMAGE });
  const networks = ['none', 'bridge'] as const;
  return {
    contenders: [alone, commandLine, crowd].flatMap((make) => networks.map((network) => make(engine, network))),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}
