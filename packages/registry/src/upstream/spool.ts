import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import type { ByteRange } from '../ranges.ts';

/** What is read from the file at once. */
const READ_BYTES = 256 * 1024;

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

  /** Appends bytes, which nobody can read yet. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.byteLength;) {
      const left = chunk.byteLength - done;
      const { bytesWritten } = await this.#handle.write(chunk, done, left, this.#writtenBytes);
      done += bytesWritten;
      this.#writtenBytes += bytesWritten;
    }
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
    const length = Math.min(this.#readableBytes, last + 1, at + READ_BYTES) - at;
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

  #wake(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers<undefined>();
  }
}
