import type { Hash } from 'node:crypto';

import type { StorageCall } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { freshContent } from './layout.ts';
import type { Content } from './layout.ts';
import { PieceWriter } from './piece-writer.ts';
import { sizeOf } from './upload-log.ts';
import type { UploadHead, UploadLog } from './upload-log.ts';

/** Asks whoever takes a body, which may not end for long, to make safe what has come of it. */
export class SaveRequests {
  #isAsked = false;
  #wake: (() => void) | undefined;
  #answered = Promise.withResolvers<number>();

  /** @returns the size of the upload then */
  ask(): Promise<number> {
    this.#isAsked = true;
    this.#wake?.();
    return this.#answered.promise;
  }

  /** Resolves when somebody asks. */
  async asked(): Promise<undefined> {
    if (!this.#isAsked) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  answer(sizeBytes: number): void {
    const { resolve } = this.#answered;
    this.#isAsked = false;
    this.#answered = Promise.withResolvers<number>();
    resolve(sizeBytes);
  }

  refuse(error: unknown): void {
    this.#answered.promise.catch(() => undefined);
    this.#answered.reject(error);
  }
}

export interface PumpOptions extends StorageCall {
  readonly saves: SaveRequests;
  /** Is fed what was written, in order. */
  readonly hash: Hash | undefined;
}

/** Takes a body to its end. */
export async function pump(
  body: AsyncIterable<Uint8Array>,
  writer: AppendWriter,
  { saves, hash, signal }: PumpOptions,
): Promise<void> {
  const iterator = body[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const arrived = await Promise.race([next, saves.asked()]);
      signal?.throwIfAborted();
      if (arrived === undefined) {
        saves.answer(await writer.flush());
        continue;
      }
      if (arrived.done === true) return;
      hash?.update(arrived.value);
      await writer.write(arrived.value);
      next = iterator.next();
    }
  } finally {
    // It may still be waiting for its sender, and fail when nobody listens any more.
    next.catch(() => undefined);
    void iterator.return?.().then(undefined, () => undefined);
  }
}

export interface AppendWriterOptions {
  readonly bucket: Bucket;
  readonly partBytes: number;
  readonly log: UploadLog;
  readonly head: UploadHead;
}

/** Writes one request's bytes as pieces, and their records. */
export class AppendWriter {
  readonly #options: AppendWriterOptions;
  #head: UploadHead;
  #piece: PieceWriter | undefined;

  constructor(options: AppendWriterOptions) {
    this.#options = options;
    this.#head = options.head;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { bucket, partBytes } = this.#options;
    this.#piece ??= new PieceWriter({ bucket, id: freshContent(this.#head.id), partBytes });
    await this.#piece.write(bytes);
    if (this.#piece.isFull) await this.flush();
  }

  /** @returns what is safe in all */
  async flush(): Promise<number> {
    const pieces = await this.#finished();
    if (pieces !== undefined) this.#head = await this.#options.log.commit(this.#head, { pieces });
    return sizeOf(this.#head.record);
  }

  /** Lets others write. */
  async release(): Promise<UploadHead> {
    const pieces = (await this.#finished()) ?? this.#head.record.pieces;
    return this.#options.log.commit(this.#head, { pieces, writer: undefined });
  }

  async #finished(): Promise<readonly Content[] | undefined> {
    const piece = this.#piece;
    this.#piece = undefined;
    if (piece === undefined || piece.sizeBytes === 0) return undefined;
    try {
      return [...this.#head.record.pieces, await piece.finish()];
    } catch (error) {
      await piece.abandon().catch(() => undefined);
      throw error;
    }
  }
}
