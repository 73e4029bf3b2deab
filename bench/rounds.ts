import { setTimeout as sleep } from 'node:timers/promises';

import type { Contender } from './contender.ts';

export interface RoundOptions {
  readonly samples: number;
  readonly warmUps: number;
  /** Between two starts: for what the kernel does after the one before, which is not the next one's. */
  readonly pauseMs: number;
  readonly signal: AbortSignal;
}

/** Milliseconds of every timed start, by contender; `failure` instead where it can't start a container here. */
export interface Measurement {
  readonly name: string;
  readonly samples: readonly number[];
  readonly failure: string | undefined;
}

/** Times each contender once per round, in turn, so that what disturbs this machine disturbs all of them alike. */
export async function measure(contenders: readonly Contender[], options: RoundOptions): Promise<Measurement[]> {
  const rows = contenders.map((contender) => ({
    contender,
    samples: [] as number[],
    failure: undefined as string | undefined,
  }));
  for (let round = -options.warmUps; round < options.samples; round += 1) {
    for (const row of rows.filter(({ failure }) => failure === undefined)) {
      await sleep(options.pauseMs, undefined, { signal: options.signal });
      const begin = performance.now();
      try {
        await row.contender.start();
        if (round >= 0) row.samples.push(performance.now() - begin);
        await row.contender.settle?.();
      } catch (error) {
        row.failure = Error.isError(error) ? error.message : String(error);
      }
    }
  }
  return rows.map(({ contender: { name }, samples, failure }) => ({ name, samples, failure }));
}
