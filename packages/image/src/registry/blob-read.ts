import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { Descriptor } from '../descriptor.ts';
import { parseDigest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import { markUnshared } from '../image/chunk-memory.ts';
import { connectionFailure, header, type Answer } from './failure.ts';
import { piecesOf } from './pieces.ts';
import { readableOf } from './readable.ts';
import type { OpenBlobOptions } from './repository.ts';
import { isTransient, waitToRetry } from './retry.ts';
import type { Server } from './server.ts';
import { askInTurn, describeBlob, needOf, sendFor, targetAt, type Place, type Site } from './site.ts';

/** Between the socket and a stream that has its own store. */
const WAITING_BYTES = 64 * 1024;

interface Range {
  readonly offset: number;
  readonly length: number;
}

const rangeOf = ({ size }: Descriptor, { offset = 0, length = size - offset }: OpenBlobOptions): Range => {
  const within = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!within || offset + length > size)
    throw new RangeError(`no ${String(length)} bytes from ${String(offset)} on in ${String(size)}`);
  return { offset, length };
};

const wrongSize = (what: string, why: string): ImageError =>
  new ImageError('CONTENT_MISMATCH', `${what} ${why}`, { path: what });

/** How many bytes before the range an answer begins with: none, or all if the server doesn't know ranges. */
const bytesToSkip = (answer: Answer, what: string, wanted: Range & { readonly size: number }): number => {
  const { offset, length, size } = wanted;
  const said = header(answer, 'content-length');
  if (answer.status === 200) {
    if (said !== undefined && Number(said) !== size)
      throw wrongSize(what, `has ${said} bytes instead of ${String(size)}`);
    return offset;
  }
  const range = header(answer, 'content-range') ?? '';
  const [, first, last, total] = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(range) ?? [];
  if (total !== undefined && total !== '*' && Number(total) !== size)
    throw wrongSize(what, `has ${total} bytes instead of ${String(size)}`);
  if (Number(first) === offset && Number(last) === offset + length - 1) return 0;
  throw new ImageError('REGISTRY_FAILED', `cannot read ${what}: ${answer.url.host} sent other bytes than asked for`, {
    path: answer.url.host,
  });
};

interface Cut {
  readonly skip: number;
  readonly length: number;
  readonly what: string;
  readonly host: string;
  /** Whether the body may go on after the range; if so, the rest is not waited for. */
  readonly open: boolean;
}

/** Exactly the bytes of a range, from a body that may begin before it. */
async function* cutBytes(body: Readable, { skip, length, what, open }: Cut): AsyncGenerator<Buffer, void, void> {
  let [toSkip, left] = [skip, length];
  for await (const pieces of piecesOf(body, WAITING_BYTES)) {
    for (const chunk of pieces) {
      const from = Math.min(toSkip, chunk.length);
      toSkip -= from;
      const bytes = chunk.subarray(from, from + left);
      left -= bytes.length;
      if (chunk.length - from > bytes.length && !open) throw wrongSize(what, 'is longer than its descriptor says');
      if (bytes.length > 0) yield bytes;
      if (left === 0 && open) return;
    }
  }
  if (left > 0) throw Object.assign(new Error('the body ended early'), { code: 'UND_ERR_SOCKET' });
}

const exactBytes = (body: Readable, cut: Cut, signal: AbortSignal | undefined): Readable =>
  markUnshared(
    readableOf((ended) => {
      ended.addEventListener('abort', () => body.destroy(), { once: true });
      return (async function* () {
        try {
          yield* cutBytes(body, cut);
        } catch (error) {
          ended.throwIfAborted();
          throw isImageError(error) ? error : connectionFailure(cut.host, error);
        }
      })();
    }, signal),
  );

const openAt = async (server: Server, request: BlobRequest): Promise<Readable> => {
  const { descriptor, range, signal, what } = request;
  const { offset, length } = range;
  const whole = length === descriptor.size;
  const headers = whole ? {} : { range: `bytes=${String(offset)}-${String(offset + length - 1)}` };
  const answer = await sendFor(
    server,
    { method: 'GET', target: request.target, headers, need: request.need, signal },
    { what: `cannot read ${what}`, statuses: whole ? [200] : [206, 200] },
  );
  try {
    const skip = bytesToSkip(answer, what, { ...range, size: descriptor.size });
    const open = answer.status === 200 && !whole;
    return exactBytes(answer.body, { skip, length, what, host: answer.url.host, open }, signal);
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
};

interface BlobRequest {
  readonly target: string | URL;
  readonly descriptor: Descriptor;
  readonly range: Range;
  readonly need: { readonly repository: string; readonly scopes: readonly string[] };
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** The bytes of a blob or a part of it from the first server that gives them; not verified. */
export const openRange = async (place: Place, descriptor: Descriptor, options: OpenBlobOptions): Promise<Readable> => {
  const range = rangeOf(descriptor, options);
  const digest = parseDigest(descriptor.digest);
  if (range.length === 0) return Readable.from([], { objectMode: false });
  const { signal } = options;
  const ask = (site: Site): Promise<Readable> =>
    openAt(site.server, {
      target: targetAt(site, `blobs/${digest}`),
      need: needOf(site, 'pull'),
      what: describeBlob(place, descriptor),
      descriptor,
      range,
      signal,
    });
  return await askInTurn(place, 'pull', { ask, signal });
};

/** Makes a server of the host of a URL, to which no credential goes. */
export type ForeignServer = (url: URL) => Server;

/** The same from where the descriptor's own `urls` lead, if the registry hasn't got it. */
const openForeign = async (
  descriptor: Descriptor,
  options: OpenBlobOptions,
  { foreign, failure }: { readonly foreign: ForeignServer; readonly failure: ImageError },
): Promise<Readable> => {
  const urls = (descriptor.urls ?? []).map((text) => URL.parse(text)).filter((url) => url?.protocol === 'https:');
  for (const target of urls) {
    if (target === null) continue;
    target.username = target.password = '';
    try {
      return await openAt(foreign(target), {
        target,
        need: { repository: '', scopes: [] },
        what: `blob ${descriptor.digest}`,
        descriptor,
        range: rangeOf(descriptor, options),
        signal: options.signal,
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isImageError(error)) throw error;
    }
  }
  throw failure;
};

const openAnywhere = async (
  place: Place,
  descriptor: Descriptor,
  { foreign, ...options }: OpenBlobOptions & { readonly foreign: ForeignServer | undefined },
): Promise<Readable> => {
  try {
    return await openRange(place, descriptor, options);
  } catch (error) {
    if (foreign === undefined || !isImageError(error) || error.code !== 'REGISTRY_NOT_FOUND') throw error;
    return await openForeign(descriptor, options, { foreign, failure: error });
  }
};

/**
 * All of a blob, verified as it passes. Where a connection is dropped it goes on with another one at the same byte, as
 * often as that brings more bytes.
 */
export const verifiedStream = (
  place: Place,
  descriptor: Descriptor,
  { foreign, signal }: { readonly foreign: ForeignServer | undefined; readonly signal?: AbortSignal | undefined },
): Readable =>
  readableOf(async function* (ended) {
    const { digest, size } = descriptor;
    const hash = createHash('sha256');
    let failures = 0;
    for (let offset = 0; offset < size;) {
      const bytes = await openAnywhere(place, descriptor, { offset, foreign, signal: ended });
      try {
        for await (const chunk of bytes as AsyncIterable<Buffer>) {
          offset += chunk.length;
          failures = 0;
          hash.update(chunk);
          yield chunk;
        }
      } catch (error) {
        ended.throwIfAborted();
        failures += 1;
        if (!isTransient(error) || failures >= place.retry.attempts) throw error;
        await waitToRetry(place.retry, { failures }, ended);
      }
    }
    const actual = hash.digest('hex');
    if (`sha256:${actual}` !== digest) throw wrongSize(describeBlob(place, descriptor), `is sha256:${actual}`);
  }, signal);
