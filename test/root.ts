import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe } from '@jest/globals';

import { diffSnapshots, snapshotHost, type HostSnapshot } from './leaks.ts';
import { enterTestRun, leaveTestRun } from './marker.ts';

export { testDir, testMarker } from './marker.ts';

/** The kernel takes namespaces, and the links in them, apart some time after their last descriptor is closed. */
const teardownTimeoutMs = 5_000;

/**
 * `describe` for tests that need root: fails, never skips, without it. After each test the host must be as before: the
 * same mounts, namespaces, links, nf_tables rules, cgroups, processes, open descriptors and temporary files.
 *
 * What `beforeAll` makes counts as before; remove it in `afterAll`.
 */
export function describeRoot(name: string, fn: () => void): void {
  enterTestRun(); // already here, for a describe body that asks for the temporary directory
  describe(name, () => {
    let before: HostSnapshot;
    beforeAll(async () => {
      if (process.getuid?.() !== 0) throw new Error('tests named *.root.test.ts need root: run them with sudo');
      enterTestRun();
      await openLazyDescriptors();
    });
    beforeEach(() => {
      before = snapshotHost();
    });
    fn();
    // Hooks run in the order they are written, so these come after the test's own.
    afterEach(() => expectUnchanged(before), teardownTimeoutMs * 4);
    afterAll(leaveTestRun);
  });
}

/** Waits until the host is as in `before`; throws the differences when it still is not after five seconds. */
export async function expectUnchanged(before: HostSnapshot, timeoutMs: number = teardownTimeoutMs): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let differences = diffSnapshots(before, snapshotHost());
  for (let pauseMs = 5; differences.length > 0 && performance.now() < deadline; pauseMs = Math.min(pauseMs * 2, 200)) {
    await sleep(pauseMs);
    differences = diffSnapshots(before, snapshotHost());
  }
  if (differences.length > 0) throw new Error(`the test left the host changed:\n  ${differences.join('\n  ')}`);
}

/** Node opens some descriptors at first use and keeps them: a signal pipe for children, one inotify for all watches. */
async function openLazyDescriptors(): Promise<void> {
  await once(spawn('/bin/true', { stdio: 'ignore' }), 'exit');
  const watcher = watch('/proc/self', { persistent: false });
  watcher.close();
}
