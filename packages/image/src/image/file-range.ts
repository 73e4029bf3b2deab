import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { ImageError, type ImageErrorCode } from '../errors.ts';
import { stopOnAbort, type OpenOptions } from './blob.ts';
import { alternating, markUnshared } from './chunk-memory.ts';

const READ_BYTES = 256 * 1024;
/** A FIFO in a file's place must not keep us waiting; Windows has neither the flag nor the danger. */
const NONBLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;

export interface FileRange {
  /** Bytes from the beginning of the file. */
  readonly start: number;
  readonly size: number;
}

async function* rangeBytes(handle: FileHandle, { start, size }: FileRange): AsyncGenerator<Buffer, void, void> {
  const end = start + size;
  for (let at = start; at < end;) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - at));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** A part of an open file, or what there is of it; any number of them may be read at once. */
export const streamRange = (handle: FileHandle, range: FileRange, { signal }: OpenOptions = {}): Readable =>
  stopOnAbort(markUnshared(Readable.from(rangeBytes(handle, range), { objectMode: false })), signal);

/** Opens a regular file for reading; links are followed. @throws {@link ImageError} `code`: it is none */
export const openRegularFile = async (file: string, code: ImageErrorCode = 'LAYER_INVALID'): Promise<FileHandle> => {
  const handle = await open(file, constants.O_RDONLY | NONBLOCK);
  try {
    if ((await handle.stat()).isFile()) return handle;
    throw new ImageError(code, `cannot read ${file}: it is no regular file`, { path: file });
  } catch (error) {
    await handle.close();
    throw error;
  }
};

/** A file's bytes, or a pipe's, from the first on; a chunk is dead when the next one is asked for. */
export async function* fileChunks(file: string): AsyncGenerator<Buffer, void, void> {
  const handle = await open(file);
  try {
    // Without a position, which a pipe hasn't got.
    yield* alternating(async (into) => (await handle.read(into, 0, into.length)).bytesRead, READ_BYTES);
  } finally {
    await handle.close();
  }
}

/** A whole file, opened when the stream is first read. */
export const streamFile = (
  openFile: () => Promise<FileHandle>,
  size: number,
  { signal }: OpenOptions = {},
): Readable => {
  async function* bytes(): AsyncGenerator<Buffer, void, void> {
    const handle = await openFile();
    try {
      // One byte more than there should be, so that whoever checks the size sees that there is more.
      yield* rangeBytes(handle, { start: 0, size: size + 1 });
    } finally {
      await handle.close();
    }
  }
  return stopOnAbort(markUnshared(Readable.from(bytes(), { objectMode: false })), signal);
};
