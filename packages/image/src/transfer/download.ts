import { rmSync, statSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { hasCode } from '@tsc/sys';

import type { Descriptor } from '../descriptor.ts';
import { ImageError, isImageError } from '../errors.ts';
import { alternating, isUnshared, release } from '../image/chunk-memory.ts';
import type { OpenBlobOptions } from '../registry/repository.ts';
import type { DownloadDir } from '../store/download-dir.ts';
import { contiguousBytes, nextRun, type Run } from './chunks.ts';
import { piecesOf } from '../registry/pieces.ts';
import { ProgressFile } from './progress-file.ts';
import { StallGuard } from './stall-guard.ts';

/** Gives a part of a layer: {@link Repository.openBlob} of the layer's repository. */
export type OpenPart = (descriptor: Descriptor, options: OpenBlobOptions) => Promise<Readable>;

export interface DownloadOptions {
  /** How many requests at once. */
  readonly parallelChunks: number;
  /** A connection that brings next to nothing in this time is given up. */
  readonly stallMs: number;
  /** Told how many bytes are there, now and then. */
  readonly onBytes: (bytes: number) => void;
}

/** So many connections in a row may fail without having brought something worth while. */
const FAILURES_MAX = 5;
const WORTHWHILE_BYTES = 1024 ** 2;
const PAUSE_MIN_MS = 200;
const READ_BYTES = 256 * 1024;
const PROBER = 1;
const HEAD_START_BYTES = 4 * 1024 ** 2;

/** One worker's part of a layer, over one connection or, if that drops, several. */
class Connection {
  readonly signal: AbortSignal;
  readonly end: number;
  readonly isProber: boolean;
  /** What all had brought when it began. */
  readonly bytesBefore: number;
  bytes = 0;
  readonly #start: number;

  constructor(
    { start, end }: Run,
    context: { readonly isProber: boolean; readonly bytesBefore: number; readonly signal: AbortSignal },
  ) {
    this.#start = start;
    this.end = end;
    this.isProber = context.isProber;
    this.bytesBefore = context.bytesBefore;
    this.signal = context.signal;
  }

  get position(): number {
    return this.#start + this.bytes;
  }
}

/**
 * Fetches a layer into its directory in ranged requests, going on where an earlier run stopped, while others read along
 * from the start. Nothing is verified here.
 */
export class Download implements AsyncDisposable {
  readonly resumed: boolean;
  readonly #descriptor: Descriptor;
  readonly #openPart: OpenPart;
  readonly #options: DownloadOptions;
  readonly #data: FileHandle;
  readonly #progress: ProgressFile;
  readonly #taken = new Set<number>();
  /** One request brings all that is missing in a row. */
  #alone: boolean;
  readonly #probed: PromiseWithResolvers<undefined> = Promise.withResolvers();
  #news: PromiseWithResolvers<undefined> = Promise.withResolvers();
  /** Why nothing can be written; not the registry's fault, so nothing is tried again. */
  #broken: ImageError | undefined;
  #failure: { readonly error: unknown } | undefined;

  private constructor(
    source: { readonly descriptor: Descriptor; readonly openPart: OpenPart },
    files: { readonly data: FileHandle; readonly progress: ProgressFile },
    options: DownloadOptions,
  ) {
    this.#descriptor = source.descriptor;
    this.#openPart = source.openPart;
    this.#options = options;
    this.#data = files.data;
    this.#progress = files.progress;
    this.resumed = files.progress.resumed;
    this.#alone = options.parallelChunks === 1;
  }

  static async open(
    dir: DownloadDir,
    source: { readonly descriptor: Descriptor; readonly openPart: OpenPart },
    options: DownloadOptions,
  ): Promise<Download> {
    await using undo = new AsyncDisposableStack();
    if (statSync(dir.dataFile, { throwIfNoEntry: false }) === undefined) rmSync(dir.progressFile, { force: true });
    const data = undo.use(
      await open(dir.dataFile, statSync(dir.progressFile, { throwIfNoEntry: false }) ? 'r+' : 'w+', 0o600),
    );
    const progress = undo.use(await ProgressFile.open(dir.progressFile, source.descriptor.size));
    undo.move();
    return new Download(source, { data, progress }, options);
  }

  /** Bytes that are there, with gaps or without. */
  get bytes(): number {
    return this.#progress.bytes;
  }

  /** Fetches what is missing. Whoever reads along sees its failure too. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const count = Math.min(this.#options.parallelChunks, this.#progress.chunks.length);
    const work = async (worker: number): Promise<void> => {
      try {
        // The second one finds out whether more are of use.
        if (worker > PROBER) await this.#probed.promise;
        await this.#work(worker === PROBER, either);
      } catch (error) {
        this.#failure ??= { error };
        this.#tell();
        stop.abort(error);
      } finally {
        if (worker === PROBER) this.#probed.resolve(undefined);
      }
    };
    await Promise.all(Array.from({ length: count }, (_, worker) => work(worker)));
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The layer's bytes from the first on, each as soon as it is there. A chunk is dead when the next one is asked for. */
  follow(signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
    const { size } = this.#descriptor;
    return alternating((into, at) => (at < size ? this.#read(into, at, signal) : Promise.resolve(0)), READ_BYTES);
  }

  /** Reads what is there from a position on, as soon as something is. */
  async #read(buffer: Buffer, position: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted();
      const news = this.#news.promise;
      const there = contiguousBytes(this.#progress.chunks, this.#progress.counts) - position;
      if (there > 0) {
        const { bytesRead } = await this.#data.read(buffer, 0, Math.min(there, buffer.length), position);
        if (bytesRead > 0) return bytesRead;
        throw this.#short(position);
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      await news;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#progress[Symbol.asyncDispose]();
    } finally {
      await this.#data.close();
    }
  }

  #tell(): void {
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers();
    resolve(undefined);
  }

  async #work(isProber: boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { chunks, counts } = this.#progress;
      if (isProber && this.#alone) return;
      const run = nextRun(chunks, counts, { taken: this.#taken, alone: this.#alone });
      if (run === undefined) return;
      for (let index = run.first; index <= run.last; index += 1) this.#taken.add(index);
      try {
        await this.#fetchRun(new Connection(run, { isProber, bytesBefore: this.bytes, signal }));
      } finally {
        for (let index = run.first; index <= run.last; index += 1) this.#taken.delete(index);
      }
    }
  }

  /**
   * Who asked for a later part, and gets its first byte only after another one has brought a lot, asked a server that
   * doesn't know ranges: all that lies before the part was sent too, and thrown away. Then it's better to go on alone.
   * Where that was only a fast connection beside a slow one, nothing is lost either.
   */
  #probe({ isProber, bytes, bytesBefore }: Connection): void {
    if (!isProber || bytes > 0) return;
    this.#alone = this.bytes - bytesBefore >= HEAD_START_BYTES;
    this.#probed.resolve(undefined);
  }

  /** Goes on as long as connections bring something. */
  async #fetchRun(connection: Connection): Promise<void> {
    const { signal } = connection;
    for (let failures = 0; ;) {
      const before = connection.bytes;
      const dropped = await this.#fetchRest(connection);
      if (dropped === undefined) return;
      failures = connection.bytes - before >= WORTHWHILE_BYTES ? 0 : failures + 1;
      if (failures >= FAILURES_MAX) throw dropped.cause;
      if (failures > 0) await sleep(PAUSE_MIN_MS * 2 ** (failures - 1), undefined, { signal });
    }
  }

  /** One request. What the registry answers is final, as the client has tried again already; a connection that drops isn't. */
  async #fetchRest(connection: Connection): Promise<{ readonly cause: unknown } | undefined> {
    const { signal, position, end } = connection;
    signal.throwIfAborted();
    const isAll = position === 0 && end === this.#descriptor.size;
    const range = isAll ? {} : { offset: position, length: end - position };
    const stream = await this.#openPart(this.#descriptor, { ...range, signal });
    using guard = new StallGuard(stream, this.#options.stallMs);
    try {
      for await (const pieces of piecesOf(stream)) {
        const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
        guard.saw(bytes);
        this.#probe(connection);
        if (connection.isProber && this.#alone) return undefined;
        if (connection.position + bytes > end) throw this.#mismatch('the registry sends more');
        await this.#write(connection, pieces, bytes);
        if (isUnshared(stream)) for (const piece of pieces) release(piece);
      }
      if (connection.position < end) throw this.#short(connection.position);
    } catch (error) {
      signal.throwIfAborted();
      if (this.#broken !== undefined) throw this.#broken;
      if (isImageError(error) && error.code === 'CONTENT_MISMATCH') throw error;
      return { cause: error };
    } finally {
      stream.destroy();
    }
    return undefined;
  }

  /** Puts bytes into their place, and counts them for the chunks that they belong to. */
  async #write(connection: Connection, pieces: readonly Buffer[], bytes: number): Promise<void> {
    const { position } = connection;
    try {
      const { bytesWritten } = await this.#data.writev(pieces, position);
      // As good as never: a signal, or a disk that is full the next time.
      if (bytesWritten < bytes)
        await this.#writeRest(Buffer.concat(pieces).subarray(bytesWritten), position + bytesWritten);
      connection.bytes += bytes;
      await this.#progress.add(position, bytes);
    } catch (error) {
      this.#broken = writeError(this.#descriptor, error);
      throw this.#broken;
    }
    this.#options.onBytes(this.bytes);
    this.#tell();
  }

  async #writeRest(rest: Buffer, position: number): Promise<void> {
    for (let at = 0; at < rest.length;) {
      const { bytesWritten } = await this.#data.write(rest, at, rest.length - at, position + at);
      at += bytesWritten;
    }
  }

  #short(at: number): ImageError {
    return new ImageError(
      'REGISTRY_FAILED',
      `layer ${this.#descriptor.digest} of ${String(this.#descriptor.size)} bytes ends after ${String(at)}`,
      { path: this.#descriptor.digest },
    );
  }

  #mismatch(why: string): ImageError {
    return new ImageError(
      'CONTENT_MISMATCH',
      `layer ${this.#descriptor.digest} of ${String(this.#descriptor.size)} bytes: ${why}`,
      { path: this.#descriptor.digest },
    );
  }
}

const writeError = ({ digest }: Descriptor, cause: unknown): ImageError => {
  const errno = Error.isError(cause) && 'code' in cause ? String(cause.code) : String(cause);
  return new ImageError('LAYER_FAILED', `cannot keep layer ${digest}: ${errno}`, { path: digest, errno, cause });
};

/** The disk is full, so that half a layer on it would keep it full. */
export const isDiskFull = (error: unknown): boolean =>
  (isImageError(error) && (error.errno === 'ENOSPC' || error.errno === 'EDQUOT')) || hasCode(error, 'ENOSPC', 'EDQUOT');
