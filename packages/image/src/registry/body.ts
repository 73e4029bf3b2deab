import { addAbortSignal, type Readable } from 'node:stream';

import { ImageError } from '../errors.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** All of a small body. @throws {@link ImageError} `REGISTRY_FAILED`: it is larger than that */
export const readBody = async (body: Readable, { maxBytes, signal }: BodyLimits): Promise<Buffer> => {
  if (signal !== undefined) addAbortSignal(signal, body);
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the stream, and with it the connection.
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new ImageError('REGISTRY_FAILED', `answer is larger than ${String(maxBytes)} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
};

const DISCARD_MAX_BYTES = 128 * 1024;

/** Reads a short rest so that the connection can be used again, and drops a long one with its connection. */
export const discardBody = async (body: Readable): Promise<void> => {
  try {
    await readBody(body, { maxBytes: DISCARD_MAX_BYTES, signal: AbortSignal.timeout(2000) });
  } catch {
    body.destroy();
  }
};
