// Does one transfer at a time with @tsc/image, in a process of its own, whose memory and event loop are watched.
import { createReadStream } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { loadArchive, openImageStore, openRegistryClient, pullImage, pushImage, unpackLayer } from '@tsc/image';

import { peakOf, resetPeak } from './peak-memory.ts';

export type Task =
  | { readonly task: 'unpack'; readonly layer: string; readonly dir: string }
  | { readonly task: 'pull'; readonly rootDir: string; readonly reference: string }
  | { readonly task: 'push'; readonly rootDir: string; readonly source: string; readonly target: string }
  | { readonly task: 'load'; readonly rootDir: string; readonly archive: string };

export type Answer = { readonly peakBytes: number; readonly loopDelayMs: number } | { readonly failure: string };

const RESOLUTION_MS = 2;

async function perform(task: Task): Promise<void> {
  if (task.task === 'unpack') {
    await unpackLayer(createReadStream(task.layer), task.dir);
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
  for await (const _event of events);
}

async function answer(task: Task): Promise<Answer> {
  resetPeak('self');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  try {
    await perform(task);
    // What the loop was kept from while it did the last of the work is noticed when it turns again.
    await new Promise((resolve) => setTimeout(resolve, 2 * RESOLUTION_MS));
    return { peakBytes: peakOf('self'), loopDelayMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS) };
  } catch (error) {
    return { failure: Error.isError(error) ? error.message : String(error) };
  } finally {
    delay.disable();
  }
}

process.on('message', (task: Task) => {
  void answer(task).then((said) => process.send?.(said));
});
