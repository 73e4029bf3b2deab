import type { Engine } from '@tsc/engine';
import type { Platform, RegistryClient } from '@tsc/image';

import { withEngine } from '../command.ts';
import type { Surroundings } from '../command.ts';
import { note } from '../output.ts';
import { abortOnSignal } from '../terminal/signals.ts';
import { withRegistries } from './client.ts';

/** What a pull or a push works with. */
export interface TransferMeans {
  readonly images: Engine['images'];
  readonly client: RegistryClient;
  readonly platform: Platform | undefined;
  readonly quiet: boolean;
  readonly signal: AbortSignal;
}

interface Transfer {
  readonly platform: Platform | undefined;
  readonly quiet: boolean;
  /** What is said, and nothing else, when a signal ends it. */
  readonly interrupted: string;
  readonly run: (means: TransferMeans) => Promise<void>;
}

/** Moves images between the store and registries until it is done or a signal comes. Returns the exit code. */
export function transfer(surroundings: Surroundings, { interrupted, run, ...asked }: Transfer): Promise<number> {
  return withEngine(surroundings, (engine) =>
    withRegistries(async (client) => {
      using abort = abortOnSignal();
      try {
        await run({ images: engine.images, client, signal: abort.signal, ...asked });
        return 0;
      } catch (error) {
        if (abort.exitCode === undefined) throw error;
        note(`tsc: interrupted: ${interrupted}`);
        return abort.exitCode;
      }
    }),
  );
}
