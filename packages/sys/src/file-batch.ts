import { native } from './binding.ts';
import type { SysError } from './errors.ts';
import { splitNs } from './file.ts';

/** Codes of the operations, as in `native/addon/file_batch.c`. */
const OPENAT2 = 1;
const PWRITE = 2;
const FTRUNCATE = 3;
const FCHOWN = 4;
const FCHMOD = 5;
const FSETXATTR = 6;
const FUTIMENS = 7;
const SYNCFS = 8;
const CLOSE = 9;

const INITIAL_BYTES = 4096;
const LONGEST_BYTES = 32;

/** Where a run of a batch begins or ended: at which operation, and where that is in the encoded list. */
export interface BatchPosition {
  readonly operation: number;
  readonly at: number;
}

/** How far a batch came. */
export interface BatchResult {
  /** What failed; absent when all was done. */
  readonly error: SysError | undefined;
  /** The operation that failed, or the number of all. */
  readonly operation: number;
  /** After the operation that failed: where a run goes on that does that one in another way. */
  readonly next: BatchPosition;
  /** The descriptor that was left open, or -1. It is the caller's. */
  readonly fd: number;
}

/**
 * A list of operations on files that runs in a thread of libuv's pool, in order, and stops at the first that fails.
 * There is one descriptor at a time: `openat2` sets it, the others use it, `close` closes it; one that is open at the end
 * comes back, and may be handed to the next batch.
 *
 * Bytes are not copied: leave them, and the directory descriptors, as they are until `run` has resolved.
 *
 * @example
 * const batch = new FileBatch();
 * batch.openat2(dirfd, 'motd', { flags: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode: 0o644 });
 * batch.pwrite(Buffer.from('hello'), 0);
 * batch.close();
 * const { error } = await batch.run();
 */
export class FileBatch {
  #program: Buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;
  #operations = 0;
  readonly #strings: string[] = [];
  readonly #data: Uint8Array[] = [];
  /** The last time, and what it is made of. */
  #ns = 0n;
  #seconds = 0;
  #nanoseconds = 0;

  /** How many operations there are. */
  get operations(): number {
    return this.#operations;
  }

  /** Where the next operation will be, for a run that begins with it. */
  get position(): BatchPosition {
    return { operation: this.#operations, at: this.#length };
  }

  openat2(
    dirfd: number,
    pathname: string,
    how: { readonly flags: number; readonly mode?: number | undefined; readonly resolve?: number | undefined },
  ): void {
    this.#begin(OPENAT2);
    this.#u32(dirfd >>> 0);
    this.#u32(how.flags >>> 0);
    this.#u32(how.mode ?? 0);
    this.#u32(how.resolve ?? 0);
    this.#u32(this.#strings.push(pathname) - 1);
  }

  /** Writes all of the bytes from `start` on, or `length` of them: no view of that part is needed, which would be garbage. */
  pwrite(bytes: Uint8Array, offset: number, start: number = 0, length: number = bytes.length - start): void {
    if (start < 0 || length < 0 || start + length > bytes.length)
      throw new RangeError(`no ${String(length)} bytes from ${String(start)} on in ${String(bytes.length)}`);
    this.#begin(PWRITE);
    this.#slice(bytes, start, length);
    this.#i64(offset);
  }

  ftruncate(size: number): void {
    this.#begin(FTRUNCATE);
    this.#i64(size);
  }

  fchown(owner: number, group: number): void {
    this.#begin(FCHOWN);
    this.#u32(owner);
    this.#u32(group);
  }

  fchmod(mode: number): void {
    this.#begin(FCHMOD);
    this.#u32(mode);
  }

  fsetxattr(name: string, value: Uint8Array): void {
    this.#begin(FSETXATTR);
    this.#u32(this.#strings.push(name) - 1);
    this.#slice(value, 0, value.length);
  }

  futimens(times: { readonly atimeNs: bigint; readonly mtimeNs: bigint }): void {
    this.#begin(FUTIMENS);
    this.#time(times.atimeNs);
    this.#time(times.mtimeNs);
  }

  /** Writes all of the file system that the descriptor is on to its disk. */
  syncfs(): void {
    this.#begin(SYNCFS);
  }

  close(): void {
    this.#begin(CLOSE);
  }

  /**
   * Runs the operations, from the first or from where an earlier run stopped, with an open descriptor or with none.
   * Rejects with a `TypeError` only, before anything is done; what the kernel says is in the result.
   */
  async run(fd: number = -1, from: BatchPosition = { operation: 0, at: 0 }): Promise<BatchResult> {
    const program = this.#program.subarray(0, this.#length);
    const result = await native().run_file_batch(program, this.#strings, this.#data, from.at, fd);
    const operation = from.operation + result.done;
    return { error: result.error, operation, next: { operation: operation + 1, at: result.at }, fd: result.fd };
  }

  #begin(code: number): void {
    if (this.#program.length - this.#length < LONGEST_BYTES) {
      this.#program = Buffer.concat([this.#program, Buffer.allocUnsafe(this.#program.length)]);
    }
    this.#operations += 1;
    this.#u32(code);
  }

  #u32(value: number): void {
    this.#length = this.#program.writeUInt32LE(value, this.#length);
  }

  /** A safe integer, in two halves: each step of a calculation with a `bigint` makes one more. */
  #i64(value: number): void {
    this.#u32(value >>> 0);
    this.#length = this.#program.writeInt32LE(Math.floor(value / 2 ** 32), this.#length);
  }

  /** Files of one package mostly have one time, and their two times are mostly the same. */
  #time(ns: bigint): void {
    if (ns !== this.#ns) {
      const [seconds, nanoseconds] = splitNs(ns);
      this.#ns = ns;
      this.#seconds = Number(seconds);
      this.#nanoseconds = nanoseconds;
    }
    this.#i64(this.#seconds);
    this.#u32(this.#nanoseconds);
  }

  /** Slices of the same memory in a row are handed over as one. */
  #slice(bytes: Uint8Array, start: number, length: number): void {
    if (this.#data.at(-1)?.buffer !== bytes.buffer) this.#data.push(new Uint8Array(bytes.buffer));
    this.#u32(this.#data.length - 1);
    this.#u32(bytes.byteOffset + start);
    this.#u32(length);
  }
}

/** Writes all of a file system to its disk, in a thread of the pool; `fd` is any descriptor on it. */
export const syncfsInPool = async (fd: number): Promise<void> => {
  const batch = new FileBatch();
  batch.syncfs();
  const { error } = await batch.run(fd);
  if (error !== undefined) throw error;
};
