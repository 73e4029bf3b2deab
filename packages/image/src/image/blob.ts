import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { Descriptor } from '../descriptor.ts';
import { digestOf } from '../digest.ts';
import { DOCUMENT_MAX_BYTES } from '../document.ts';
import { ImageError } from '../errors.ts';

export interface OpenOptions {
  /** Ends the stream with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that a descriptor describes; readable as often as one likes. */
export interface Blob {
  readonly descriptor: Descriptor;
  /**
   * The bytes, which a source may get wrong: {@link readBlob} and all sinks of this package check them. Whoever asks for
   * them reads them to the end or destroys the stream.
   */
  open(options?: OpenOptions): Readable;
}

/** A blob of bytes in memory. */
export const blobFromBytes = (bytes: Uint8Array, mediaType: string): Blob => ({
  descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
  open: ({ signal } = {}) => stopOnAbort(Readable.from([bytes], { objectMode: false }), signal),
});

/** The stream, which fails with the signal's reason when that comes first. */
export const stopOnAbort = (stream: Readable, signal: AbortSignal | undefined): Readable => {
  if (signal === undefined) return stream;
  const stop = (): void => {
    stream.destroy(signal.reason as Error);
  };
  if (signal.aborted) stop();
  else {
    signal.addEventListener('abort', stop, { once: true });
    stream.once('close', () => {
      signal.removeEventListener('abort', stop);
    });
  }
  return stream;
};

/**
 * A blob's bytes, checked as they pass: what is wrong fails at the latest at its end, so act on nothing before.
 *
 * @throws {@link ImageError} `CONTENT_MISMATCH`, and what the source throws
 */
export async function* verifiedBytes(blob: Blob, options: OpenOptions = {}): AsyncGenerator<Buffer, void, void> {
  const { digest, size } = blob.descriptor;
  const hash = createHash('sha256');
  let bytes = 0;
  options.signal?.throwIfAborted();
  for await (const chunk of blob.open(options) as AsyncIterable<Buffer>) {
    options.signal?.throwIfAborted();
    bytes += chunk.length;
    if (bytes > size) break;
    hash.update(chunk);
    yield chunk;
  }
  const actual =
    bytes === size ? `sha256:${hash.digest('hex')}` : `one of ${bytes > size ? 'more' : String(bytes)} bytes`;
  if (actual !== digest) {
    throw new ImageError('CONTENT_MISMATCH', `blob ${digest} of ${String(size)} bytes is ${actual}`, { path: digest });
  }
}

/**
 * Reads a small blob whole: a config, a document.
 *
 * @throws {@link ImageError} `CONTENT_MISMATCH`, and `DOCUMENT_INVALID`: more than `maxBytes` (default 4 MiB)
 */
export const readBlob = async (
  blob: Blob,
  options: OpenOptions & { readonly maxBytes?: number | undefined } = {},
): Promise<Buffer> => {
  const { digest, size } = blob.descriptor;
  const maxBytes = options.maxBytes ?? DOCUMENT_MAX_BYTES;
  if (size > maxBytes)
    throw new ImageError('DOCUMENT_INVALID', `invalid ${digest}: larger than ${String(maxBytes)} bytes`, {
      path: digest,
    });
  const chunks: Buffer[] = [];
  for await (const chunk of verifiedBytes(blob, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
};
