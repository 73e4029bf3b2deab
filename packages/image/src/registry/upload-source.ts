import type { Readable } from 'node:stream';

import { ImageError } from '../errors.ts';
import type { Blob } from '../image/blob.ts';
import { isUnshared, release } from '../image/chunk-memory.ts';

/** What undici lets a socket hold back. After a chunk of this size it waits until the kernel has it before it takes another. */
const SOCKET_BYTES = 64 * 1024;

/** A stream of a blob and how far it has been read. */
interface Cursor {
  readonly stream: Readable;
  readonly chunks: AsyncIterator<Buffer>;
  /** Nobody else has its chunks. */
  readonly isOwn: boolean;
  rest: Buffer;
  position: number;
}

/** A blob that is read in order, a part at a time, and from the start again where an upload goes back. */
export class UploadSource implements Disposable {
  readonly #blob: Blob;
  readonly #signal: AbortSignal | undefined;
  /** Where the next part may go on; none while a part is being read, which may be given up half way. */
  #idle: Cursor | undefined;
  readonly #streams = new Set<Readable>();
  #failure: unknown;

  constructor(blob: Blob, signal: AbortSignal | undefined) {
    this.#blob = blob;
    this.#signal = signal;
  }

  /** Throws what the blob's own stream failed with, which no other connection would mend. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  /**
   * The bytes of a part, checked only for their number: the registry compares the digest.
   *
   * @throws {@link ImageError} `CONTENT_MISMATCH`: there are fewer or, at the end, more
   */
  async *bytes(offset: number, length: number): AsyncGenerator<Buffer, void, void> {
    try {
      const cursor = this.#cursorAt(offset);
      while (cursor.position < offset) await this.#take(cursor, offset - cursor.position);
      for (let left = length; left > 0;) {
        const chunk = await this.#take(cursor, left);
        left -= chunk.length;
        // Before the last bytes go out, because whoever takes them may not ask for more.
        if (left === 0) await this.#finish(cursor);
        yield chunk;
        if (cursor.isOwn && chunk.length >= SOCKET_BYTES) release(chunk);
      }
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream.destroy();
  }

  #cursorAt(offset: number): Cursor {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle?.position === offset) return idle;
    this[Symbol.dispose]();
    this.#streams.clear();
    const stream = this.#blob.open({ signal: this.#signal });
    this.#streams.add(stream);
    // A stream that is given up may still fail, which is no news.
    stream.on('error', () => undefined);
    const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    return { stream, chunks, isOwn: isUnshared(stream), rest: Buffer.alloc(0), position: 0 };
  }

  async #take(cursor: Cursor, most: number): Promise<Buffer> {
    if (!(await this.#fill(cursor))) throw this.#mismatch('fewer');
    const taken = cursor.rest.subarray(0, most);
    cursor.rest = cursor.rest.subarray(taken.length);
    cursor.position += taken.length;
    return taken;
  }

  /** Whether there are more bytes. */
  async #fill(cursor: Cursor): Promise<boolean> {
    while (cursor.rest.length === 0) {
      const next = await cursor.chunks.next();
      if (next.done === true) return false;
      cursor.rest = next.value;
    }
    return true;
  }

  async #finish(cursor: Cursor): Promise<void> {
    if (cursor.position < this.#blob.descriptor.size) this.#idle = cursor;
    else if (await this.#fill(cursor)) throw this.#mismatch('more');
  }

  #mismatch(what: string): ImageError {
    const { digest, size } = this.#blob.descriptor;
    const message = `blob ${digest} has ${what} than ${String(size)} bytes: its source has changed`;
    return new ImageError('CONTENT_MISMATCH', message, { path: digest });
  }
}
