import { pipeline, Readable } from 'node:stream';
import { createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib';

import { ImageError } from '../errors.ts';
import { OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../media-types.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const MAGIC_BYTES = 6;
const OUTPUT_CHUNK = 128 * 1024;

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

/** Decompresses; errors of the source come through as they are, those of the codec as `LAYER_INVALID`. */
export async function* decompress({ compression, stream }: Detected): AsyncGenerator<Buffer, void, void> {
  if (compression === 'none') {
    yield* stream;
    return;
  }
  const decoder =
    compression === 'gzip'
      ? createGunzip({ chunkSize: OUTPUT_CHUNK })
      : createZstdDecompress({ chunkSize: OUTPUT_CHUNK });
  // The callback is called when both ends are done with; the loop below sees the same error.
  const source = Readable.from(stream, { objectMode: false });
  pipeline(source, decoder, () => undefined);
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    throw isCodecError(error)
      ? new ImageError('LAYER_INVALID', `invalid ${compression} stream: ${error.message}`, { cause: error })
      : error;
  } finally {
    decoder.destroy();
    source.destroy();
  }
}

const isCodecError = (error: unknown): error is Error =>
  Error.isError(error) && 'code' in error && /^(Z_|ZSTD_|ERR_PADDING|ERR__ERROR_FORMAT)/.test(String(error.code));

/** Compresses a plain tar stream. The same bytes give the same bytes while Node's zlib stays the same. */
export const compress = (source: Readable, compression: Compression, level?: number): Readable => {
  if (compression === 'none') return source;
  const encoder = compression === 'gzip' ? createGzip({ level: level ?? 6 }) : createZstdCompress();
  return pipeline(source, encoder, () => undefined);
};
