import { scheduleMaintenance } from '../maintenance/schedule.ts';
import type { Metrics } from '../operation/metrics.ts';
import type { RepositoryPolicy } from '../policy/policy.ts';
import type { RegistryStorage } from '../storage.ts';
import type { CachingStorage } from '../upstream/cache.ts';
import { scheduleMirrors } from '../upstream/mirror.ts';
import type { RegistryConfiguration } from './configuration.ts';
import { repeat } from './repeat.ts';
import type { ServiceParts } from './service.ts';

const HOUR_MS = 3_600_000;
const GARBAGE = { everyMs: HOUR_MS, graceMs: 24 * HOUR_MS };

interface JobParts extends ServiceParts {
  readonly storage: RegistryStorage | CachingStorage;
  readonly metrics: Metrics | undefined;
  readonly policy: RepositoryPolicy | undefined;
}

/** Begins what is done now and then; it ends with the stack. */
export function startJobs(configuration: RegistryConfiguration, parts: JobParts): void {
  const { garbage = GARBAGE, retention, scrub, evict, mirrors, readOnly = false } = configuration;
  const { storage, metrics, policy, undo, note, failed } = parts;
  // One that changes nothing has none of these: scrub sets aside what is corrupt.
  undo.use(
    scheduleMaintenance({
      storage,
      policy,
      garbage: readOnly ? undefined : garbage,
      retention: readOnly ? undefined : retention,
      scrub: readOnly ? undefined : scrub,
      onReport: (report) => {
        if (report.job === 'garbage') metrics?.onGarbage(report.report);
        note({ type: 'report', subject: report.job, detail: report });
      },
      onFailure: (failure, job) => failed(job)(failure),
    }),
  );
  if (evict !== undefined && 'evictIdle' in storage) {
    const act = async (signal: AbortSignal): Promise<void> =>
      note({ type: 'report', subject: 'evict', detail: await storage.evictIdle({ ...evict, signal }) });
    undo.use(repeat(evict.everyMs, act, failed('evict')));
  }
  if (mirrors === undefined) return;
  undo.use(
    scheduleMirrors(storage, mirrors.repositories, {
      everyMs: mirrors.everyMs,
      onReport: ({ to }, report) => note({ type: 'report', subject: `mirror ${to}`, detail: report }),
      onFailure: ({ to }, failure) => failed(`mirror ${to}`)(failure),
    }),
  );
}
