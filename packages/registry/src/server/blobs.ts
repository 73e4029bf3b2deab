import { finished, pipeline } from 'node:stream/promises';

import type { Digest } from '../names.ts';
import { parseRange } from '../ranges.ts';
import type { ByteRange } from '../ranges.ts';
import type { OpenBlob } from '../storage.ts';
import { sendEmpty } from './answer.ts';
import type { Headers } from './answer.ts';
import type { Exchange } from './context.ts';
import { canSendDirectly, sendDirectly } from './direct-send.ts';
import { Stall } from './stall.ts';

export interface BlobTarget {
  readonly name: string;
  readonly digest: Digest;
}

/** What is named by its digest never changes. */
const FOREVER = 'private, max-age=31536000, immutable';

/** Whether `If-None-Match` names what we have. */
export const isKnown = ({ request }: Exchange, digest: Digest): boolean =>
  (request.headers['if-none-match'] ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === `"${digest}"`);

const blobHeaders = (digest: Digest): Headers => ({
  'Content-Type': 'application/octet-stream',
  'Docker-Content-Digest': digest,
  'Accept-Ranges': 'bytes',
  ETag: `"${digest}"`,
  'Cache-Control': FOREVER,
});

/** end-2, HEAD */
export async function statBlob(exchange: Exchange, { name, digest }: BlobTarget): Promise<void> {
  const { sizeBytes } = await exchange.storage.statBlob(name, digest, { signal: exchange.signal });
  if (isKnown(exchange, digest)) sendEmpty(exchange, 304, blobHeaders(digest));
  else sendEmpty(exchange, 200, { ...blobHeaders(digest), 'Content-Length': sizeBytes });
}

/** end-2, GET */
export async function readBlob(exchange: Exchange, { name, digest }: BlobTarget): Promise<void> {
  const { storage, signal } = exchange;
  if (await redirect(exchange, { name, digest })) return;
  const blob = await storage.openBlob(name, digest, { signal });
  let taken = false;
  try {
    if (isKnown(exchange, digest)) {
      sendEmpty(exchange, 304, blobHeaders(digest));
      return;
    }
    const range = wantedRange(exchange, digest, blob);
    writeBlobHead(exchange, { digest, blob, range });
    const whole = range ?? { first: 0, last: blob.sizeBytes - 1 };
    if (blob.bytes !== undefined) await sendAtOnce(exchange, blob.bytes.subarray(whole.first, whole.last + 1));
    else if (blob.sizeBytes === 0) exchange.response.end();
    else if (blob.fd !== undefined && canSendDirectly(exchange.response)) {
      using stall = new Stall(exchange.limits.stallTimeoutMs, exchange.limits);
      await sendDirectly(exchange.response, { fd: blob.fd, range: whole, stall, signal });
    } else {
      taken = true;
      await send(exchange, blob, range);
    }
    exchange.emit({ type: 'pull', object: 'blob', name, digest, sizeBytes: blob.sizeBytes });
  } finally {
    if (!taken) await blob.close();
  }
}

/** Sends the client to where it can have the bytes without us, for now. Whether it does is not ours to tell as a pull. */
async function redirect(exchange: Exchange, { name, digest }: BlobTarget): Promise<boolean> {
  if (isKnown(exchange, digest)) return false;
  const url = await exchange.storage.blobUrl(name, digest, { signal: exchange.signal });
  if (url === undefined) return false;
  sendEmpty(exchange, 307, { Location: url.href, 'Docker-Content-Digest': digest, 'Cache-Control': 'no-store' });
  return true;
}

function wantedRange({ request }: Exchange, digest: Digest, { sizeBytes }: OpenBlob): ByteRange | undefined {
  const condition = request.headers['if-range'];
  if (condition !== undefined && condition !== `"${digest}"`) return undefined;
  return parseRange(request.headers.range, sizeBytes);
}

interface BlobAnswer {
  readonly digest: Digest;
  readonly blob: OpenBlob;
  readonly range: ByteRange | undefined;
}

function writeBlobHead({ response }: Exchange, { digest, blob, range }: BlobAnswer): void {
  const { sizeBytes } = blob;
  response.writeHead(range === undefined ? 200 : 206, {
    ...blobHeaders(digest),
    'Content-Length': range === undefined ? sizeBytes : range.last - range.first + 1,
    ...(range === undefined ? {} : { 'Content-Range': `bytes ${range.first}-${range.last}/${String(sizeBytes)}` }),
  });
}

/** In one write with the head. Most of it is taken at once; a reader that leaves the rest is dropped. */
async function sendAtOnce({ response, limits, signal }: Exchange, bytes: Uint8Array): Promise<void> {
  response.end(bytes);
  if (response.writableLength === 0 || response.writableFinished) return;
  using stall = new Stall(limits.stallTimeoutMs, limits);
  await finished(response, { signal: AbortSignal.any([signal, stall.signal]) });
}

/** From the file to the socket, as fast as the reader takes it; a reader that takes nothing is dropped. */
async function send({ response, limits, signal }: Exchange, blob: OpenBlob, range?: ByteRange): Promise<void> {
  using stall = new Stall(limits.stallTimeoutMs, limits);
  response.on('drain', () => stall.touch(0));
  const stream = blob.stream(range);
  stream.on('data', (chunk: Buffer) => stall.touch(chunk.byteLength));
  await pipeline(stream, response, { signal: AbortSignal.any([signal, stall.signal]) });
}

/** end-10 */
export async function deleteBlob(exchange: Exchange, { name, digest }: BlobTarget): Promise<void> {
  await exchange.storage.deleteBlob(name, digest, { signal: exchange.signal });
  exchange.emit({ type: 'delete', object: 'blob', name, digest });
  sendEmpty(exchange, 202);
}
