import type { ContainerRecord } from './container-record.ts';

const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 60_000;
/** A container that ran this long was well, so the next delay is the first again. */
const WELL_AFTER_MS = 10_000;

/** Whether a container that has just ended is to be started again. */
export function shouldRestart(record: ContainerRecord, exitCode: number): boolean {
  const policy = record.spec.restart ?? { name: 'no' };
  if (record.state.stopRequested) return false;
  switch (policy.name) {
    case 'no':
      return false;
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure': {
      const { maximumRetryCount = 0 } = policy;
      return exitCode !== 0 && (maximumRetryCount === 0 || record.state.restartCount < maximumRetryCount);
    }
  }
}

/** How long to wait before the next start: doubling from 100 ms to a minute, as Docker does. */
export function restartDelayMs(record: ContainerRecord): number {
  const { startedAt, finishedAt, restartCount } = record.state;
  const ranMs = Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '');
  if (ranMs > WELL_AFTER_MS) return FIRST_DELAY_MS;
  return Math.min(FIRST_DELAY_MS * 2 ** Math.min(restartCount, 20), LAST_DELAY_MS);
}
