import type { FileHandle } from 'node:fs/promises';

import { ImageError } from '../errors.ts';
import { streamRange } from '../image/file-range.ts';
import { detectCompression } from '../layer/compression.ts';
import type { LayerLimits } from '../layer/unpack.ts';
import { BLOCK, isZeroBlock } from '../tar/block.ts';
import type { TarEntry } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { ArchiveFiles } from './archive-files.ts';

const WINDOW_BYTES = 64 * 1024;
const MAGIC_BYTES = 6;
/** Stands for the data that is passed over, whose bytes nobody looks at. */
const NOTHING = Buffer.alloc(1024 ** 2);

/** Reads small pieces of a file, some of them from memory. */
class Window {
  readonly #handle: FileHandle;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** The block at a place; shorter at the end of the file. */
  async block(at: number): Promise<Buffer> {
    if (at < this.#start || at + BLOCK > this.#start + this.#bytes.length) {
      const window = Buffer.alloc(WINDOW_BYTES);
      const { bytesRead } = await this.#handle.read(window, 0, WINDOW_BYTES, at);
      [this.#bytes, this.#start] = [window.subarray(0, bytesRead), at];
    }
    return this.#bytes.subarray(at - this.#start, at - this.#start + BLOCK);
  }
}

/**
 * Finds the files in an uncompressed tar archive by its headers, without reading what is between them.
 *
 * @throws {@link ImageError} `COMPRESSION_UNSUPPORTED`: it is compressed; `LAYER_INVALID`, `LAYER_LIMIT`, `ARCHIVE_INVALID`
 */
export const indexTar = async (
  handle: FileHandle,
  {
    signal,
    limits,
  }: { readonly signal?: AbortSignal | undefined; readonly limits?: Partial<LayerLimits> | undefined } = {},
): Promise<ArchiveFiles> => {
  const files = new ArchiveFiles();
  const window = new Window(handle);
  refuseCompressed(await window.block(0));
  const { size: end } = await handle.stat();
  let wanted: TarEntry | undefined;
  const reader = new TarReader(
    {
      entry: (entry) => {
        wanted = files.announce(entry) ? entry : undefined;
      },
      data: () => undefined,
      end: () => undefined,
    },
    limits,
  );
  const takeWanted = (): TarEntry | undefined => {
    const entry = wanted;
    wanted = undefined;
    return entry;
  };
  for (let [at, zeroBlocks] = [0, 0]; zeroBlocks < 2;) {
    signal?.throwIfAborted();
    const block = await window.block(at);
    if (block.length === 0) break;
    zeroBlocks = isZeroBlock(block) ? zeroBlocks + 1 : 0;
    await reader.write(block);
    at += block.length;
    const entry = takeWanted();
    if (entry === undefined) continue;
    if (entry.size > end - at)
      throw new ImageError('LAYER_INVALID', 'invalid tar archive: it ends in the middle of a member');
    const range = { start: at, size: entry.size };
    files.add(entry, { size: entry.size, open: (options) => streamRange(handle, range, options) });
    at += await passOver(reader, entry.size);
  }
  reader.end();
  return files;
};

/** Lets the reader know of a member's data. */
const passOver = async (reader: TarReader, size: number): Promise<number> => {
  const bytes = Math.ceil(size / BLOCK) * BLOCK;
  for (let left = bytes; left > 0; left -= NOTHING.length) await reader.write(NOTHING.subarray(0, left));
  return bytes;
};

const refuseCompressed = (head: Buffer): void => {
  const compression = detectCompression(head.subarray(0, MAGIC_BYTES));
  if (compression === 'none') return;
  throw new ImageError(
    'COMPRESSION_UNSUPPORTED',
    `cannot open an archive compressed by ${compression} in place: decompress it first, or load it into a store`,
  );
};
