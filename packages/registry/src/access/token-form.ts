import type { IncomingMessage } from 'node:http';

import { RegistryError } from '../errors.ts';

const FORM_MAX_BYTES = 64 * 1024;
const FORM_TIMEOUT_MS = 10_000;
const FORM_TYPE = 'application/x-www-form-urlencoded';

/**
 * Reads a form that was posted.
 *
 * @throws {@link RegistryError} status 415, 413, 408
 */
export async function readForm(request: IncomingMessage, signal: AbortSignal): Promise<URLSearchParams> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== FORM_TYPE) throw new RegistryError('UNSUPPORTED', `want ${FORM_TYPE}`, { status: 415 });
  const late = new RegistryError('UNSUPPORTED', 'the body stopped arriving', { status: 408 });
  const stop = (): void => void request.emit('error', late);
  const timer = setTimeout(stop, FORM_TIMEOUT_MS);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // The request must outlive its body: the answer goes through the same socket.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      bytes += chunk.byteLength;
      if (bytes > FORM_MAX_BYTES) throw new RegistryError('SIZE_INVALID', 'the form is too long', { status: 413 });
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
