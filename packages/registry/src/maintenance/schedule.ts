import { setTimeout as sleep } from 'node:timers/promises';

import type { RepositoryPolicy } from '../policy/policy.ts';
import type { GarbageReport, RegistryStorage } from '../storage.ts';
import type { RetentionRule } from './retention-rules.ts';
import { applyRetention } from './retention.ts';
import type { RetentionReport } from './retention.ts';
import { scrubStorage } from './scrub.ts';
import type { ScrubReport } from './scrub.ts';

const HOUR_MS = 3_600_000;
/** A job comes this much earlier or later, so that processes which were started together don't go on together. */
const JITTER = 0.1;

interface Periodic {
  /** From the end of one to the beginning of the next. */
  readonly everyMs: number;
}

export interface MaintenanceOptions {
  readonly storage: RegistryStorage;
  /** Whose immutable tags retention leaves. */
  readonly policy?: RepositoryPolicy | undefined;
  /** Forgets uploads that nothing has arrived for since `maxAgeMs`. Every hour, if not said otherwise. */
  readonly uploads?: (Partial<Periodic> & { readonly maxAgeMs: number }) | undefined;
  readonly retention?: (Periodic & { readonly rules: readonly RetentionRule[] }) | undefined;
  /** See `collectGarbage` for what the grace must be longer than. */
  readonly garbage?: (Periodic & { readonly graceMs: number }) | undefined;
  readonly scrub?: (Periodic & { readonly bytesPerSecond?: number | undefined }) | undefined;
  /** Is told what a job did. It must not throw. */
  readonly onReport?: ((report: MaintenanceReport) => void) | undefined;
  /** Is told why a job failed; its next time comes all the same. It must not throw. */
  readonly onFailure?: ((failure: unknown, job: MaintenanceJob) => void) | undefined;
}

export type MaintenanceJob = 'uploads' | 'retention' | 'garbage' | 'scrub';

export type MaintenanceReport =
  | { readonly job: 'uploads'; readonly durationMs: number; readonly removedUploads: number }
  | { readonly job: 'retention'; readonly durationMs: number; readonly report: RetentionReport }
  | { readonly job: 'garbage'; readonly durationMs: number; readonly report: GarbageReport }
  | { readonly job: 'scrub'; readonly durationMs: number; readonly report: ScrubReport };

type WithoutDuration<R> = R extends unknown ? Omit<R, 'durationMs'> : never;
type Outcome = WithoutDuration<MaintenanceReport>;

interface Job {
  readonly job: MaintenanceJob;
  readonly everyMs: number;
  readonly run: (signal: AbortSignal) => Promise<Outcome>;
}

/**
 * Does what has to be done now and then: one job at a time, each first after its period, until it is disposed of, which breaks
 * off the one that goes on and waits for its end. It keeps no process alive.
 *
 * Several processes over one storage may do it at once: no job needs to be alone, they only do the same work twice. Let one
 * scrub, as it reads everything.
 */
export function scheduleMaintenance(options: MaintenanceOptions): AsyncDisposable {
  const ending = new AbortController();
  let last: Promise<void> = Promise.resolve();
  const loops = jobsOf(options).map(async (job) => {
    for (;;) {
      const waitMs = job.everyMs * (1 + JITTER * (2 * Math.random() - 1));
      if (!(await rest(waitMs, ending.signal))) return;
      last = last.then(() => runJob(job, options, ending.signal));
      await last;
    }
  });
  return {
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await Promise.all(loops);
    },
  };
}

/** @returns false when it is time to end */
async function rest(waitMs: number, signal: AbortSignal): Promise<boolean> {
  // A timer can't be set for longer than 24 days.
  for (let restMs = waitMs; restMs > 0 && !signal.aborted; restMs -= 24 * HOUR_MS) {
    await sleep(Math.min(restMs, 24 * HOUR_MS), undefined, { signal, ref: false }).catch(() => undefined);
  }
  return !signal.aborted;
}

async function runJob(
  { job, run }: Job,
  { onReport, onFailure }: MaintenanceOptions,
  signal: AbortSignal,
): Promise<void> {
  const isEnding = (): boolean => signal.aborted;
  if (isEnding()) return;
  const begun = performance.now();
  try {
    const outcome = await run(signal);
    onReport?.({ ...outcome, durationMs: performance.now() - begun });
  } catch (failure) {
    if (!isEnding()) onFailure?.(failure, job);
  }
}

function jobsOf({ storage, policy, uploads, retention, garbage, scrub }: MaintenanceOptions): readonly Job[] {
  const jobs: Job[] = [];
  if (uploads !== undefined) {
    const { everyMs = HOUR_MS, maxAgeMs } = uploads;
    const run = async (signal: AbortSignal): Promise<Outcome> => ({
      job: 'uploads',
      removedUploads: await storage.removeStaleUploads(maxAgeMs, { signal }),
    });
    jobs.push({ job: 'uploads', everyMs, run });
  }
  if (retention !== undefined) {
    const run = async (signal: AbortSignal): Promise<Outcome> => ({
      job: 'retention',
      report: await applyRetention(storage, retention.rules, { policy, signal }),
    });
    jobs.push({ job: 'retention', everyMs: retention.everyMs, run });
  }
  if (garbage !== undefined) {
    const run = async (signal: AbortSignal): Promise<Outcome> => ({
      job: 'garbage',
      report: await storage.collectGarbage(garbage.graceMs, { signal }),
    });
    jobs.push({ job: 'garbage', everyMs: garbage.everyMs, run });
  }
  if (scrub !== undefined) {
    const { everyMs, bytesPerSecond } = scrub;
    const run = async (signal: AbortSignal): Promise<Outcome> => ({
      job: 'scrub',
      report: await scrubStorage(storage, { bytesPerSecond, signal }),
    });
    jobs.push({ job: 'scrub', everyMs, run });
  }
  return jobs;
}
