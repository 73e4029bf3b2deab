import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import type { ByteRange } from '../ranges.ts';

/** What is read from the file at once. */
const READ_BYTES = 256 * 1024;
/** What stays in memory of what was written last, for those who keep up. */
const RECENT_BYTES = 1024 * 1024;

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Bytes that one writes while many read them, each from where it likes and as fast as it likes. They are in a file that has
 * no name any more, so nothing of it outlives the process.
 */
export class Spool {
  readonly #handle: FileHandle;
  /** Those who may still read or write. */
  #holders = 1;
  #writtenBytes = 0;
  #readableBytes = 0;
  readonly #recent: Piece[] = [];
  #recentBytes = 0;
  #failure: { readonly cause: unknown } | undefined;
  #changed = Promise.withResolvers<undefined>();

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** The caller is its first holder. */
  static async open(dir: string): Promise<Spool> {
    const path = join(dir, randomUUID());
    const handle = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Spool(handle);
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  hold(): void {
    this.#holders += 1;
  }

  /** Closes the file when nobody holds it any more. */
  async release(): Promise<void> {
    this.#holders -= 1;
    if (this.#holders === 0) await this.#handle.close();
  }

  /** Appends bytes, which nobody can read yet, and which nobody may change any more. */
  async write(chunk: Uint8Array): Promise<void> {
    const offset = this.#writtenBytes;
    for (let done = 0; done < chunk.byteLength;) {
      const left = chunk.byteLength - done;
      const { bytesWritten } = await this.#handle.write(chunk, done, left, this.#writtenBytes);
      done += bytesWritten;
      this.#writtenBytes += bytesWritten;
    }
    this.#recent.push({ offset, bytes: chunk });
    this.#recentBytes += chunk.byteLength;
    while (this.#recentBytes > RECENT_BYTES) this.#recentBytes -= this.#recent.shift()?.bytes.byteLength ?? Infinity;
  }

  /** Lets everybody read so far. */
  publish(bytes: number): void {
    if (bytes <= this.#readableBytes) return;
    this.#readableBytes = bytes;
    this.#wake();
  }

  /** No more will come, and what there is isn't read any more. */
  fail(cause: unknown): void {
    this.#failure ??= { cause };
    this.#wake();
  }

  /** Some bytes of a range from `at` on, when they are there; undefined at its end. */
  async read(at: number, { last }: ByteRange): Promise<Buffer | undefined> {
    if (at > last) return undefined;
    while (this.#failure === undefined && this.#readableBytes <= at) await this.#changed.promise;
    if (this.#failure !== undefined) throw this.#failure.cause;
    const end = Math.min(this.#readableBytes, last + 1);
    const recent = this.#recentAt(at, end);
    if (recent !== undefined) return recent;
    const length = Math.min(end, at + READ_BYTES) - at;
    this.hold();
    try {
      const { buffer, bytesRead } = await this.#handle.read(Buffer.allocUnsafe(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    } finally {
      await this.release();
    }
  }

  /** All of a range, in pieces. */
  async *readAll(range: ByteRange): AsyncGenerator<Buffer> {
    for (let at = range.first; ;) {
      const chunk = await this.read(at, range);
      if (chunk === undefined) return;
      at += chunk.byteLength;
      yield chunk;
    }
  }

  /** What follows on `at`, out of memory. */
  #recentAt(at: number, end: number): Buffer | undefined {
    const piece = this.#recent.findLast(({ offset }) => offset <= at);
    if (piece === undefined) return undefined;
    const { buffer, byteOffset, byteLength } = piece.bytes;
    const bytes = Buffer.from(buffer, byteOffset, byteLength).subarray(at - piece.offset, end - piece.offset);
    return bytes.byteLength === 0 ? undefined : bytes;
  }

  #wake(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers<undefined>();
  }
}
