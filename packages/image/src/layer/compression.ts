import { Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdCompress, createZstdDecompress } from 'node:zlib';

import { ImageError } from '../errors.ts';
import { gzip } from './gzip.ts';
import { OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../media-types.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const MAGIC_BYTES = 6;
/** Every piece that goes through a codec costs two changes of threads, so the pieces are large. */
const INPUT_CHUNK = 256 * 1024;
const OUTPUT_CHUNK = 256 * 1024;

const MAGICS: readonly (readonly [string, Compression | 'xz' | 'bzip2'])[] = [
  ['1f8b', 'gzip'],
  ['28b52ffd', 'zstd'],
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
];

/** Tells the compression from the first bytes. @throws {@link ImageError} `COMPRESSION_UNSUPPORTED`: xz, bzip2 */
export const detectCompression = (head: Buffer): Compression => {
  const hex = head.toString('hex', 0, MAGIC_BYTES);
  const found = MAGICS.find(([magic]) => hex.startsWith(magic))?.[1] ?? 'none';
  if (found === 'xz' || found === 'bzip2') {
    throw new ImageError('COMPRESSION_UNSUPPORTED', `cannot read ${found}: decompress it first, or use gzip or zstd`);
  }
  return found;
};

export const layerMediaType = (compression: Compression): string =>
  ({ none: OCI_LAYER, gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD })[compression];

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What a stream starts with, and the whole stream again. */
export interface Detected {
  readonly compression: Compression;
  readonly stream: AsyncGenerator<Buffer, void, void>;
}

export const detectStream = async (source: AsyncIterable<Uint8Array>): Promise<Detected> => {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return { compression: detectCompression(head), stream: rest(head, iterator) };
};

async function* rest(head: Buffer, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  try {
    if (head.length > 0) yield head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield asBuffer(next.value);
  } finally {
    await iterator.return?.();
  }
}

export interface DecompressOptions {
  /** Each chunk is dead when the next one is asked for: its memory is given back without waiting for the garbage collector. */
  readonly transient?: boolean | undefined;
}

/** Decompresses; errors of the source come through as they are, those of the codec as `LAYER_INVALID`. */
export async function* decompress(
  { compression, stream }: Detected,
  { transient = false }: DecompressOptions = {},
): AsyncGenerator<Buffer, void, void> {
  if (compression === 'none') {
    yield* stream;
    return;
  }
  const decoder =
    compression === 'gzip'
      ? createGunzip({ chunkSize: OUTPUT_CHUNK })
      : createZstdDecompress({ chunkSize: OUTPUT_CHUNK });
  void feed(decoder, stream);
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      yield chunk;
      if (transient) release(chunk);
    }
  } catch (error) {
    throw isCodecError(error)
      ? new ImageError('LAYER_INVALID', `invalid ${compression} stream: ${error.message}`, { cause: error })
      : error;
  } finally {
    decoder.destroy();
  }
}

/**
 * Writes a stream to a codec from two buffers: it works on one while the other is filled. Never rejects; the codec's
 * reader gets the error.
 */
const feed = async (codec: Transform, stream: AsyncIterable<Buffer>): Promise<void> => {
  let filling: Buffer = Buffer.allocUnsafeSlow(INPUT_CHUNK);
  let taken: Buffer = Buffer.allocUnsafeSlow(INPUT_CHUNK);
  let bytes = 0;
  let free: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await free;
    free = written(codec, filling.subarray(0, bytes));
    // Whoever reads the codec is told.
    free.catch(() => undefined);
    [filling, taken, bytes] = [taken, filling, 0];
  };
  try {
    for await (const piece of stream) {
      for (let at = 0; at < piece.length;) {
        const copied = piece.copy(filling, bytes, at);
        at += copied;
        bytes += copied;
        if (bytes === filling.length) await flush();
      }
    }
    if (bytes > 0) await flush();
    await free;
    codec.end();
  } catch (error) {
    codec.destroy(error as Error);
  }
};

const written = (codec: Transform, bytes: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    codec.write(bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });

/** A codec fills each of its buffers to the end, in several chunks perhaps, and then takes another. */
const release = ({ buffer, byteOffset, length }: Buffer): void => {
  if (buffer.byteLength === OUTPUT_CHUNK && byteOffset + length === OUTPUT_CHUNK) (buffer as ArrayBuffer).transfer(0);
};

const isCodecError = (error: unknown): error is Error =>
  Error.isError(error) && 'code' in error && /^(Z_|ZSTD_|ERR_PADDING|ERR__ERROR_FORMAT)/.test(String(error.code));

/**
 * Compresses a plain tar stream. The same bytes give the same bytes while Node's zlib stays the same.
 *
 * Unless the compression is `none`, a chunk of the source is done with when the next one is asked for.
 */
export const compress = (source: AsyncIterable<Buffer>, compression: Compression, level?: number): Readable => {
  if (compression === 'gzip') return Readable.from(gzip(source, { level }), { objectMode: false });
  if (compression === 'none') return source instanceof Readable ? source : Readable.from(source, { objectMode: false });
  const encoder = createZstdCompress();
  void feed(encoder, source);
  return encoder;
};
