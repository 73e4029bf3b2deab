import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Repository } from '@tsc/image';

import type { Digest } from '../names.ts';
import type { ByteRange } from '../ranges.ts';
import type { OpenBlob, RegistryStorage } from '../storage.ts';
import type { Upstream } from './options.ts';
import { Spool } from './spool.ts';

const STREAM_BYTES = 256 * 1024;

export interface DownloadOptions {
  readonly repository: Repository;
  readonly storage: RegistryStorage;
  readonly name: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly spoolDir: string;
  readonly skipAheadBytes: number;
  readonly abandoned: NonNullable<Upstream['abandoned']>;
  readonly signal: AbortSignal;
  /** Is told why the content could not be stored, which no client has to do with. */
  readonly onUnstored: (cause: unknown) => void;
  /** Is told why the content did not come to its end. */
  readonly onBroken: (cause: unknown) => void;
}

/**
 * One blob on its way from upstream. All who want it read it from one file while it is being written; so does the storage.
 * The last byte isn't given to anybody before the digest of all of them is right.
 */
export class Download {
  /** Resolves with the first byte. */
  readonly begun: Promise<undefined>;
  /** Resolves when nothing is under way any more, except readers. */
  readonly ended: Promise<void>;
  readonly #options: DownloadOptions;
  readonly #spool: Spool;
  readonly #stopping = new AbortController();
  readonly #first = Promise.withResolvers<undefined>();
  #readers = 0;
  #isDone = false;
  #failure: { readonly cause: unknown } | undefined;

  private constructor(options: DownloadOptions, spool: Spool) {
    this.#options = options;
    this.#spool = spool;
    this.begun = this.#first.promise;
    this.begun.catch(() => undefined);
    this.ended = this.#run();
  }

  static async start(options: DownloadOptions): Promise<Download> {
    return new Download(options, await Spool.open(options.spoolDir));
  }

  /** Whether it was given up. */
  get isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Why it didn't come to its end. */
  get failure(): { readonly cause: unknown } | undefined {
    return this.#failure;
  }

  /** Gives it up, whoever reads. */
  stop(reason: unknown): void {
    if (!this.#isDone) this.#stopping.abort(reason);
  }

  /** Takes hold of the blob for one reader. */
  open(): OpenBlob {
    this.#readers += 1;
    this.#spool.hold();
    let isHeld = true;
    const leave = async (): Promise<void> => {
      if (!isHeld) return;
      isHeld = false;
      this.#readers -= 1;
      if (this.#readers === 0) this.#abandon();
      await this.#spool.release();
    };
    const { sizeBytes } = this.#options;
    return {
      sizeBytes,
      stream: (range = { first: 0, last: sizeBytes - 1 }) =>
        this.#isFarAhead(range) ? this.#openDirectly(range, leave) : this.#openTail(range, leave),
      close: leave,
    };
  }

  /** The last byte is only given out when the digest is right, so a range with it can't come from elsewhere. */
  #isFarAhead({ first, last }: ByteRange): boolean {
    const { sizeBytes, skipAheadBytes } = this.#options;
    return last < sizeBytes - 1 && first > this.#spool.writtenBytes + skipAheadBytes;
  }

  #abandon(): void {
    const { abandoned, sizeBytes } = this.#options;
    const isHalf = this.#spool.writtenBytes * 2 >= sizeBytes;
    if (abandoned === 'finish' || (abandoned === 'finish-half' && isHalf)) return;
    this.stop(new Error('nobody wants it any more'));
  }

  #openTail(range: ByteRange, leave: () => Promise<void>): Readable {
    let at = range.first;
    const stream = new Readable({
      highWaterMark: STREAM_BYTES,
      read: () => {
        this.#spool.read(at, range).then(
          (chunk) => {
            if (stream.destroyed) return;
            at += chunk?.byteLength ?? 0;
            stream.push(chunk ?? null);
          },
          (error: unknown) => stream.destroy(error as Error),
        );
      },
      destroy: (error, done) => {
        leave().then(
          () => done(error),
          (failure: unknown) => done(error ?? (failure as Error)),
        );
      },
    });
    return stream;
  }

  #openDirectly({ first, last }: ByteRange, leave: () => Promise<void>): Readable {
    const { repository, signal } = this.#options;
    const gone = new AbortController();
    const stream = new PassThrough({ highWaterMark: STREAM_BYTES });
    stream.once('close', () => {
      gone.abort();
      void leave();
    });
    const copy = async (): Promise<void> => {
      const range = { offset: first, length: last - first + 1, signal: AbortSignal.any([signal, gone.signal]) };
      await pipeline(await repository.openBlob(this.#descriptor, range), stream);
    };
    copy().catch((error: unknown) => stream.destroy(error as Error));
    return stream;
  }

  get #descriptor(): Parameters<Repository['openBlob']>[0] {
    const { digest, sizeBytes } = this.#options;
    return { mediaType: 'application/octet-stream', digest: digest as `sha256:${string}`, size: sizeBytes };
  }

  async #run(): Promise<void> {
    const fetching = this.#fetch();
    const [, stored] = await Promise.allSettled([fetching, this.#store()]);
    await this.#spool.release();
    // What failed because the fetching did was told already.
    if (stored.status === 'rejected' && this.#isDone) this.#options.onUnstored(stored.reason);
  }

  async #fetch(): Promise<void> {
    const { repository, sizeBytes, signal, onBroken } = this.#options;
    try {
      const either = AbortSignal.any([signal, this.#stopping.signal]);
      const body = repository.blob(this.#descriptor).open({ signal: either });
      for await (const chunk of body as AsyncIterable<Buffer>) {
        await this.#spool.write(chunk);
        this.#spool.publish(Math.min(this.#spool.writtenBytes, sizeBytes - 1));
        this.#first.resolve(undefined);
      }
      this.#isDone = true;
      this.#spool.publish(sizeBytes);
      this.#first.resolve(undefined);
    } catch (cause) {
      if (this.#spool.writtenBytes > 0 && !this.isStopped) onBroken(cause);
      this.#failure = { cause };
      this.#spool.fail(cause);
      this.#first.reject(cause);
      throw cause;
    }
  }

  /** Reads what the clients read, into the storage, which checks the digest once more. */
  async #store(): Promise<void> {
    const { storage, name, digest, sizeBytes } = this.#options;
    await this.begun;
    const upload = { name, id: await storage.startUpload(name, 'sha256') };
    try {
      const body = this.#spool.readAll({ first: 0, last: sizeBytes - 1 });
      await storage.appendUpload(upload, { offset: 0, body, sizeBytes });
      await storage.finishUpload(upload, digest);
    } catch (error) {
      await storage.cancelUpload(upload).catch(() => undefined);
      throw error;
    }
  }
}
