import { closeSync, constants } from 'node:fs';

import { FileBatch, type SysError } from '@tsc/sys';

import type { TarEntry } from '../tar/entry.ts';
import { describeFile } from './attributes.ts';
import { ONE_COMPONENT, type TreePlace } from './directory-tree.ts';
import { giveBackNowAndThen } from './free-memory.ts';

/** How a file comes into being: exclusively, through no link. */
export const CREATE: { readonly flags: number; readonly mode: number; readonly resolve: number } = {
  flags: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  mode: 0o600,
  resolve: ONE_COMPONENT,
};

/** A batch goes when it has this much, or as little as `IDLE_*` when the thread has nothing to do. */
const FULL_BYTES = 512 * 1024;
const FULL_OPERATIONS = 256;
const IDLE_BYTES = 128 * 1024;
const IDLE_OPERATIONS = 128;

/** A regular file on its way to the disk. */
export interface QueuedFile {
  readonly entry: TarEntry;
  readonly place: TreePlace;
}

/** What is helped in another way: the descriptor to go on with. Throws what can't be helped. */
export type Recover = (file: QueuedFile, error: SysError) => Promise<number>;

/** What one run in the pool does: operations, and the bytes that they write. */
class Batch {
  readonly operations: FileBatch = new FileBatch();
  /** Each with the number of its first operation; the first one may have begun in an earlier batch. */
  readonly begun: { readonly file: QueuedFile; readonly first: number }[] = [];
  readonly ended: QueuedFile[] = [];
  readonly #keys = new Set<string>();
  readonly memory: Buffer;
  /** In use of it. */
  #bytes = 0;
  /** Held besides. */
  #otherBytes = 0;

  constructor(memory: Buffer) {
    this.memory = memory;
  }

  get isEmpty(): boolean {
    return this.operations.operations === 0;
  }

  /** How much is written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether any of it belongs to a file of this name. */
  has({ key }: TreePlace): boolean {
    return this.#keys.has(key);
  }

  isFull(bytes: number, operations: number): boolean {
    return this.#bytes + this.#otherBytes >= bytes || this.operations.operations >= operations;
  }

  begin(file: QueuedFile): void {
    this.begun.push({ file, first: this.operations.operations });
    this.#keys.add(file.place.key);
    this.#otherBytes += file.entry.name.length;
  }

  end(file: QueuedFile): void {
    describeFile(this.operations, file.entry);
    this.ended.push(file);
    for (const value of file.entry.xattrs.values()) this.#otherBytes += value.length;
  }

  /** Takes as many bytes as there is room for, and says how many. */
  write(chunk: Buffer, offset: number): number {
    const bytes = chunk.copy(this.memory, this.#bytes);
    this.operations.pwrite(this.memory, offset, this.#bytes, bytes);
    this.#bytes += bytes;
    return bytes;
  }

  fileOf(operation: number): QueuedFile {
    return (this.begun.findLast(({ first }) => first <= operation) as (typeof this.begun)[number]).file;
  }
}

/**
 * Writes regular files in a thread of the pool, in order, while more of the archive is read: one batch runs and one is
 * filled, so the bytes of two are in memory. A name in the queue may be on disk or not yet; whoever needs to
 * know waits with `settle`.
 */
export class FileQueue implements AsyncDisposable {
  readonly #recover: Recover;
  #filling = new Batch(Buffer.allocUnsafeSlow(FULL_BYTES));
  /** Of the batch that ran last. */
  #memory: Buffer = Buffer.allocUnsafeSlow(FULL_BYTES);
  /** The names on their way are the batches' own: a map that lives as long as the queue would make V8 keep all it ever held. */
  #running: { readonly batch: Batch; readonly done: Promise<void> } | undefined;
  #current: QueuedFile | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** Of a file that goes on in the next batch. */
  #fd = -1;

  constructor(recover: Recover) {
    this.#recover = recover;
  }

  /** Whether a file of this name is on its way. */
  has(place: TreePlace): boolean {
    return this.#filling.has(place) || this.#running?.batch.has(place) === true;
  }

  /** Begins a file whose name is free. Then `write` and `end` belong to it. */
  begin(file: QueuedFile): void {
    const { parent, name } = file.place;
    parent.hold();
    this.#current = file;
    this.#filling.begin(file);
    this.#filling.operations.openat2(parent.fd, name, CREATE);
  }

  /** Copies the bytes; what it returns resolves when there is room for more. */
  write(chunk: Buffer, offset: number): Promise<void> | undefined {
    if (this.#current === undefined) return undefined;
    const bytes = this.#filling.write(chunk, offset);
    return bytes === chunk.length ? this.#advance() : this.#writeRest(chunk.subarray(bytes), offset + bytes);
  }

  async #writeRest(rest: Buffer, offset: number): Promise<void> {
    await this.#advance();
    for (let at = 0; at < rest.length;) {
      at += this.#filling.write(rest.subarray(at), offset + at);
      await this.#advance();
    }
  }

  end(): Promise<void> | undefined {
    const file = this.#current;
    if (file === undefined) return undefined;
    this.#filling.end(file);
    this.#current = undefined;
    return this.#advance();
  }

  /** Resolves when all files that were begun are on disk, as far as they were given. */
  async settle(): Promise<void> {
    if (!this.#filling.isEmpty) await this.#submit();
    await this.#running?.done;
    this.#throwFailure();
  }

  /** Waits until nothing is written any more, then lets go of everything, finished or not. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.done;
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    for (const { file } of this.#filling.begun.splice(0)) file.place.parent[Symbol.dispose]();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #advance(): Promise<void> | undefined {
    const isFull =
      this.#running === undefined
        ? this.#filling.isFull(IDLE_BYTES, IDLE_OPERATIONS)
        : this.#filling.isFull(FULL_BYTES, FULL_OPERATIONS);
    return isFull ? this.#submit() : undefined;
  }

  async #submit(): Promise<void> {
    await this.#running?.done;
    this.#throwFailure();
    const batch = this.#filling;
    this.#filling = new Batch(this.#memory);
    this.#memory = batch.memory;
    if (this.#current !== undefined) this.#filling.begin(this.#current);
    this.#running = { batch, done: this.#perform(batch) };
  }

  /** Never rejects: a failure is thrown to whoever comes next. */
  async #perform(batch: Batch): Promise<void> {
    try {
      await this.#run(batch);
    } catch (error) {
      this.#failure = { error };
    }
    for (const file of batch.ended) {
      file.place.parent[Symbol.dispose]();
    }
    this.#running = undefined;
    giveBackNowAndThen(batch.bytes);
  }

  async #run(batch: Batch): Promise<void> {
    let result = await batch.operations.run(this.#fd);
    for (;;) {
      this.#fd = result.fd;
      if (result.error === undefined) return;
      this.#fd = await this.#recover(batch.fileOf(result.operation), result.error);
      result = await batch.operations.run(this.#fd, result.next);
    }
  }
}
