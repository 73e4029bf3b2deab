import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { defaultSpec, formatExactJson, seccompArch } from '@tsc/runtime';

import { findProgram, run } from './command.ts';
import type { Contender, Contenders, Place } from './contender.ts';

/** A bundle that says the same as our engine does: Docker's namespaces, mounts, masks, capabilities and filter. */
function makeBundle(place: Place, runtime: string): string {
  const bundle = join(place.dir, `bundle-${runtime}`);
  const spec = {
    ...defaultSpec({
      args: ['/bin/true'],
      rootfsPath: place.tree,
      cgroupsPath: `/tsc-bench-${runtime}`,
      arch: seccompArch(process.arch),
    }),
    ociVersion: '1.0.2', // older ones refuse to read newer ones
  };
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'config.json'), formatExactJson(spec));
  return bundle;
}

function ociRuntime(place: Place, runtime: string): Contender[] {
  const program = findProgram(runtime);
  if (program === undefined) return [];
  const args = ['--root', join(place.runDir, runtime), 'run', '--bundle', makeBundle(place, runtime), 'bench'];
  return [{ name: `${runtime} run`, start: () => run(program, args) }];
}

/** Those that start one container from a bundle and know neither images nor networks. */
export const ociContenders = (place: Place): Promise<Contenders> =>
  Promise.resolve({
    contenders: ['runc', 'crun'].flatMap((runtime) => ociRuntime(place, runtime)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
