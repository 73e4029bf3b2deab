import type { Hash } from 'node:crypto';
import { writev } from 'node:fs';
import { promisify } from 'node:util';

import { writeWhole } from './durable.ts';

/** What may wait for the disk while more arrives; a sender is held back beyond. */
const QUEUE_BYTES = 1024 * 1024;
const writeMany = promisify(writev) as (
  fd: number,
  chunks: readonly Uint8Array[],
  position: number,
) => Promise<{ readonly bytesWritten: number }>;

export interface BodyOptions {
  readonly body: AsyncIterable<Uint8Array>;
  /** Is fed what was written, in order. */
  readonly hash: Hash | undefined;
  readonly signal?: AbortSignal | undefined;
}

async function writeAll(fd: number, batch: readonly Uint8Array[], position: number): Promise<number> {
  const total = batch.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const { bytesWritten } = await writeMany(fd, batch, position);
  // A disk that is almost full writes a part; the next call says why.
  if (bytesWritten < total) await writeWhole(fd, Buffer.concat(batch).subarray(bytesWritten), position + bytesWritten);
  return total;
}

/**
 * Writes a body into a file from `start` on, one batch while the next one arrives. When the body breaks off, what came of it
 * is written, and then its failure thrown.
 *
 * @returns where it ended
 */
export async function writeBody(fd: number, start: number, options: BodyOptions): Promise<number> {
  const { body, hash, signal } = options;
  let position = start;
  let queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let writing: Promise<void> | undefined;

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      [queue, queuedBytes] = [[], 0];
      const written = writeAll(fd, batch, position);
      for (const chunk of batch) hash?.update(chunk);
      position += await written;
    }
    writing = undefined;
  };
  try {
    for await (const chunk of body) {
      signal?.throwIfAborted();
      queue.push(chunk);
      queuedBytes += chunk.byteLength;
      // At once, while the bytes that are hashed are still in the processor's cache.
      if (writing === undefined) {
        writing = drain();
        // Its failure is met at the next await of it below, which may be later than now.
        writing.catch(() => undefined);
      }
      if (queuedBytes >= QUEUE_BYTES) await writing;
    }
  } finally {
    await writing;
  }
  return position;
}
