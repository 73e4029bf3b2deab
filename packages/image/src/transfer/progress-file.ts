import { readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { hasCode } from '@tsc/sys';

import { chunkBytesFor, planChunks, type Chunk } from './chunks.ts';

/** Decimal digits of a counter, enough for any file; each stands on a line of its own, so it is written in place. */
const DIGITS = 16;
const LINE_BYTES = DIGITS + 1;
const KEEP_EVERY_BYTES = 1024 ** 2;

const line = (count: number): string => `${String(count).padStart(DIGITS, '0')}\n`;

/** The counters, if the file is one of this layer and whole. */
const readCounts = (file: string, header: string, chunks: readonly Chunk[]): readonly number[] | undefined => {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  const counts = text.slice(header.length).split('\n').slice(0, -1).map(Number);
  const fits =
    text.startsWith(header) &&
    counts.length === chunks.length &&
    chunks.every(({ length }, i) => Number.isSafeInteger(counts[i]) && (counts[i] ?? 0) <= length);
  return fits ? counts : undefined;
};

/**
 * How much of each chunk of a layer is in its data file. A counter is written after the bytes that it counts, so that
 * after a kill at most a little is fetched again.
 */
export class ProgressFile implements AsyncDisposable {
  readonly chunks: readonly Chunk[];
  /** True when an earlier run left some. */
  readonly resumed: boolean;
  readonly #file: FileHandle;
  readonly #headerBytes: number;
  readonly #chunkBytes: number;
  readonly #counts: number[];
  readonly #kept: number[];
  #bytes: number;

  private constructor(
    file: FileHandle,
    headerBytes: number,
    state: { chunks: readonly Chunk[]; counts: readonly number[] },
  ) {
    this.#file = file;
    this.#headerBytes = headerBytes;
    this.chunks = state.chunks;
    this.#chunkBytes = state.chunks[0]?.length ?? 1;
    this.#counts = [...state.counts];
    this.#kept = [...state.counts];
    this.#bytes = state.counts.reduce((sum, count) => sum + count, 0);
    this.resumed = this.#bytes > 0;
  }

  static async open(path: string, size: number): Promise<ProgressFile> {
    const chunkBytes = chunkBytesFor(size);
    const chunks = planChunks(size, chunkBytes);
    const header = `${String(size)} bytes in chunks of ${String(chunkBytes)}; of each there are\n`;
    const found = readCounts(path, header, chunks);
    const counts = found ?? chunks.map(() => 0);
    const file = await open(path, found === undefined ? 'w' : 'r+', 0o600);
    try {
      if (found === undefined) await file.write(header + counts.map(line).join(''));
      return new ProgressFile(file, header.length, { chunks, counts });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  get counts(): readonly number[] {
    return this.#counts;
  }

  /** Counts bytes that are in the data file now, from a position on. */
  async add(position: number, bytes: number): Promise<void> {
    for (let [at, left] = [position, bytes]; left > 0;) {
      const index = Math.floor(at / this.#chunkBytes);
      const { start, length } = this.chunks[index] as Chunk;
      const here = Math.min(left, start + length - at);
      await this.#count(index, here);
      at += here;
      left -= here;
    }
  }

  async #count(chunk: number, bytes: number): Promise<void> {
    const count = (this.#counts[chunk] ?? 0) + bytes;
    this.#counts[chunk] = count;
    this.#bytes += bytes;
    const isWhole = count === this.chunks[chunk]?.length;
    if (isWhole || count - (this.#kept[chunk] ?? 0) >= KEEP_EVERY_BYTES) await this.#keep(chunk);
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const [chunk, count] of this.#counts.entries()) if (count !== this.#kept[chunk]) await this.#keep(chunk);
    } finally {
      await this.#file.close();
    }
  }

  async #keep(chunk: number): Promise<void> {
    const count = this.#counts[chunk] ?? 0;
    this.#kept[chunk] = count;
    await this.#file.write(line(count), this.#headerBytes + chunk * LINE_BYTES, 'latin1');
  }
}
