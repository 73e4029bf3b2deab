// Does one transfer at a time with @tsc/image, in a process of its own, whose memory and event loop are watched. Takes each
// Task of task.ts as a message, and sends an Answer. Plain JavaScript, because what Node loads for TypeScript is 18 MB.
import { readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { loadArchive, openImageStore, openRegistryClient, pullImage, pushImage, unpackLayer } from '@tsc/image';

const RESOLUTION_MS = 2;

async function perform(task) {
  if (task.task === 'unpack') {
    await unpackLayer(task.layer, task.dir);
    return;
  }
  const store = await openImageStore({ rootDir: task.rootDir });
  if (task.task === 'load') {
    await loadArchive(store, task.archive);
    return;
  }
  await using client = openRegistryClient();
  const events =
    task.task === 'pull'
      ? pullImage(store, client, task.reference)
      : pushImage(store, client, task.source, { to: task.target });
  while ((await events.next()).done !== true);
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
function resetPeak() {
  writeFileSync('/proc/self/clear_refs', '5');
}

function peakBytes() {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(kilobytes) * 1024;
}

async function answer(task) {
  resetPeak();
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  try {
    await perform(task);
    // What the loop was kept from while it did the last of the work is noticed when it turns again.
    await new Promise((resolve) => setTimeout(resolve, 2 * RESOLUTION_MS));
    return { peakBytes: peakBytes(), loopDelayMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS) };
  } catch (error) {
    return { failure: Error.isError(error) ? error.message : String(error) };
  } finally {
    delay.disable();
  }
}

process.on('message', (task) => {
  void answer(task).then((said) => process.send?.(said));
});
