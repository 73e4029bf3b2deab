import { createHash, randomBytes } from 'node:crypto';

import { formatGrid } from '../report.ts';
import type { Server } from './contenders.ts';
import { runSlice } from './load.ts';
import type { Operation } from './rows.ts';
import { pullBlob, pushBlob, PUSHED } from './rows.ts';

const MB = 1024 * 1024;
const PIECE_BYTES = 64 * MB;

/** Pushes one blob of many pieces and pulls it, and tells how much memory that took. */
export async function moveHugeBlob(
  server: Server,
  { gigabytes, signal }: { readonly gigabytes: number; readonly signal: AbortSignal },
): Promise<readonly (readonly string[])[]> {
  const piece = randomBytes(PIECE_BYTES);
  const parts = Array.from({ length: (gigabytes * 1024 * MB) / PIECE_BYTES }, () => piece);
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const content = { parts, hex: hash.digest('hex') };
  const sizeBytes = parts.length * PIECE_BYTES;
  const once = async (name: string, act: Operation['act']): Promise<readonly string[]> => {
    const operation = { name, sizeBytes, isLarge: false, act };
    const slice = await runSlice(server, operation, { concurrency: 1, durationMs: 1, signal });
    return [
      `${name}, ${server.name}`,
      `${(sizeBytes / MB / (slice.elapsedMs / 1000)).toFixed(0)} MB/s`,
      `${(slice.cpuMs / 1000).toFixed(1)} s`,
      (slice.peakBytes / MB).toFixed(0),
    ];
  };
  try {
    const pushed = await once(`push ${String(gigabytes)} GB`, async (client) => {
      await pushBlob(client, PUSHED, content);
      return undefined;
    });
    const pulled = await once(`pull ${String(gigabytes)} GB`, (client) =>
      pullBlob(client, `/v2/${PUSHED}/blobs/sha256:${content.hex}`, sizeBytes),
    );
    return [pushed, pulled];
  } finally {
    server.forget(PUSHED, [content.hex]);
  }
}

/** One line each for push and pull. */
export const formatHuge = (rows: readonly (readonly string[])[]): string =>
  formatGrid([['', 'throughput', 'CPU', 'peak MB'], ...rows]);
