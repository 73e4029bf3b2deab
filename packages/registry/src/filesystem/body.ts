import type { Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

/** What may wait for the disk while more arrives; a sender is held back beyond. */
const QUEUE_BYTES = 1024 * 1024;

export interface BodyOptions {
  readonly body: AsyncIterable<Uint8Array>;
  /** Is fed what was written, in order. */
  readonly hash: Hash | undefined;
  readonly signal?: AbortSignal | undefined;
}

async function writeAll(handle: FileHandle, batch: readonly Uint8Array[], position: number): Promise<number> {
  const total = batch.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const { bytesWritten } = await handle.writev([...batch], position);
  if (bytesWritten === total) return total;
  // A disk that is almost full writes a part; the next call says why.
  let rest = Buffer.concat(batch).subarray(bytesWritten);
  for (let at = position + bytesWritten; rest.byteLength > 0;) {
    const written = (await handle.write(rest, 0, rest.byteLength, at)).bytesWritten;
    rest = rest.subarray(written);
    at += written;
  }
  return total;
}

/**
 * Writes a body into a file from `start` on, one batch while the next one arrives. When the body breaks off, what came of it
 * is written, and then its failure thrown.
 *
 * @returns where it ended
 */
export async function writeBody(handle: FileHandle, start: number, options: BodyOptions): Promise<number> {
  const { body, hash, signal } = options;
  let position = start;
  let queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let writing: Promise<void> | undefined;

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      [queue, queuedBytes] = [[], 0];
      const written = writeAll(handle, batch, position);
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
