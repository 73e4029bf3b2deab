import { mkdirSync, rmdirSync } from 'node:fs';
import { runInThisContext } from 'node:vm';

/**
 * Names this test run on a machine that others may use at the same time: the process's own pid, so that no two live
 * runs share it. Short enough to begin the name of a network link (15 bytes). A test that names something visible on
 * the host (a cgroup, a link, a table) puts it into that name; temporary directories have it in their path.
 */
export const testMarker: string = `tsc${process.pid.toString(36)}q`;

/** Where `os.tmpdir()` points while root tests run. */
export const testDir: string = `/tmp/${testMarker}`;

// Jest hands tests a copy of the environment; `os.tmpdir()` and child processes see the real one.
const environments: readonly NodeJS.ProcessEnv[] = [process.env, (runInThisContext('process') as NodeJS.Process).env];
const originalTmpdir: string | undefined = process.env['TMPDIR'];

/** Sends temporary files to {@link testDir} and marks every process that is started from here on. */
export function enterTestRun(): void {
  mkdirSync(testDir, { recursive: true });
  for (const env of environments) Object.assign(env, { TMPDIR: testDir, TSC_TEST_RUN: testMarker });
}

/** Undoes {@link enterTestRun}; the directory stays when a failed test left something in it to look at. */
export function leaveTestRun(): void {
  for (const env of environments) {
    delete env['TSC_TEST_RUN'];
    if (originalTmpdir === undefined || originalTmpdir === testDir) delete env['TMPDIR'];
    else env['TMPDIR'] = originalTmpdir;
  }
  try {
    rmdirSync(testDir);
  } catch {
    // not empty: the leak has been reported
  }
}
