import { expect, it } from '@jest/globals';

import { initialState } from './container-record.ts';
import type { ContainerRecord, ContainerState } from './container-record.ts';
import type { RestartPolicy } from './container-spec.ts';
import { restartDelayMs, shouldRestart } from './restart-policy.ts';

const recordWith = (state: Partial<ContainerState>, restart?: RestartPolicy): ContainerRecord =>
  ({ spec: { image: 'it', restart }, state: { ...initialState, ...state } }) as unknown as ContainerRecord;

it.each<[RestartPolicy | undefined, number, Partial<ContainerState>, boolean]>([
  [undefined, 1, {}, false],
  [{ name: 'no' }, 1, {}, false],
  [{ name: 'always' }, 0, {}, true],
  [{ name: 'unless-stopped' }, 0, {}, true],
  [{ name: 'always' }, 0, { stopRequested: true }, false],
  [{ name: 'on-failure' }, 0, {}, false],
  [{ name: 'on-failure' }, 1, { restartCount: 1000 }, true],
  [{ name: 'on-failure', maximumRetryCount: 2 }, 1, { restartCount: 1 }, true],
  [{ name: 'on-failure', maximumRetryCount: 2 }, 1, { restartCount: 2 }, false],
])('%j restarts what ended with %i in state %j: %j', (policy, exitCode, state, restarts) => {
  expect(shouldRestart(recordWith(state, policy), exitCode)).toBe(restarts);
});

it('waits longer each time, up to a minute, and starts over after a container that was well', () => {
  const ran = (ms: number, restartCount: number): number => {
    const [startedAt, finishedAt] = [new Date(0).toISOString(), new Date(ms).toISOString()];
    return restartDelayMs(recordWith({ startedAt, finishedAt, restartCount }));
  };
  expect([0, 1, 2, 9, 10, 1000].map((count) => ran(50, count))).toEqual([100, 200, 400, 51_200, 60_000, 60_000]);
  expect(ran(10_001, 9)).toBe(100);
});
