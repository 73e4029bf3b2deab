import type { IncomingMessage } from 'node:http';

import { RegistryError } from '../errors.ts';
import type { Exchange } from './context.ts';
import { Stall } from './stall.ts';

/** The length that a request says its body has; undefined for one that is streamed. */
export function contentLength({ headers }: IncomingMessage): number | undefined {
  const text = headers['content-length'];
  return text === undefined ? undefined : Number(text);
}

/** Whether a request can have a body with anything in it. */
export const mayHaveBody = (request: IncomingMessage): boolean =>
  request.headers['transfer-encoding'] !== undefined || (contentLength(request) ?? 0) > 0;

const tooLarge = (maxBytes: number): RegistryError =>
  new RegistryError('SIZE_INVALID', `more than ${String(maxBytes)} bytes`, { status: 413 });

/**
 * A request's body, as it arrives; the sender is held back while nobody asks for more.
 *
 * @throws {@link RegistryError} status 413: longer than `maxBytes`; 408: nothing came for too long
 */
export async function* readBody({ request, limits }: Exchange, maxBytes: number): AsyncGenerator<Buffer> {
  if ((contentLength(request) ?? 0) > maxBytes) throw tooLarge(maxBytes);
  using stall = new Stall(limits.stallTimeoutMs, limits);
  const late = new RegistryError('BLOB_UPLOAD_INVALID', 'the body stopped arriving', { status: 408 });
  stall.signal.addEventListener('abort', () => request.emit('error', late), { once: true });
  let received = 0;
  // The request must outlive its body: the answer goes through the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    received += chunk.byteLength;
    if (received > maxBytes) throw tooLarge(maxBytes);
    stall.pause();
    yield chunk;
    stall.touch(chunk.byteLength);
  }
}

/** All of a small body. @throws {@link RegistryError} as {@link readBody} */
export async function readWhole(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readBody(exchange, maxBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
