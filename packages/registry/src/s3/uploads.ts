import { createHash, randomUUID } from 'node:crypto';
import type { Hash } from 'node:crypto';

import { isRegistryError, RegistryError } from '../errors.ts';
import type { Algorithm, Digest } from '../names.ts';
import { checkChunkFollows } from '../ranges.ts';
import type { BlobInfo, StorageCall, Upload, UploadChunk } from '../storage.ts';
import { referToKnown } from './blobs.ts';
import type { Bucket } from './bucket.ts';
import { compose } from './compose.ts';
import { AppendWriter, pump, SaveRequests } from './append.ts';
import type { PumpOptions } from './append.ts';
import { contentKey, CONTENTS, freshContent, freshUpload, uploadOfContent } from './layout.ts';
import type { BlobKey, Content } from './layout.ts';
import { addReference, removeReference } from './references.ts';
import { sizeOf, uploadBusy, UploadLog, uploadUnknown } from './upload-log.ts';
import type { UploadHead } from './upload-log.ts';
import { judgeContent } from './verify.ts';

/** How many uploads' hashes are remembered between two requests; the others are read again at their end. */
const HASHES_MAX = 1000;
/** An upload of more chunks than this is refused: its record would grow too long. */
const PIECES_MAX = 8000;

interface Progress {
  readonly algorithm: Algorithm;
  readonly hash: Hash;
  /** The record up to which it was fed. */
  readonly sequence: number;
}

export interface UploadsOptions {
  readonly bucket: Bucket;
  readonly partBytes: number;
  /** After this long without a record, the writer of another process counts as dead. */
  readonly takeoverMs: number;
  /** Whether the server makes an object only where none is. */
  readonly conditional: boolean;
}

const algorithmOf = (id: string): Algorithm => (id.startsWith('sha512-') ? 'sha512' : 'sha256');

/**
 * Uploads: what one request sends is an object, a piece, from the start in the place where it stays. An upload of one piece,
 * which is what most clients send, becomes a blob without a copy; of several ones the server composes another object.
 */
export class Uploads {
  readonly log: UploadLog;
  readonly #options: UploadsOptions;
  readonly #progress = new Map<string, Progress>();
  /** Uploads that this process is writing to. */
  readonly #writing = new Map<string, SaveRequests>();

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.log = new UploadLog(options.bucket, options.takeoverMs);
  }

  async start(name: string, algorithm: Algorithm): Promise<string> {
    const id = freshUpload(algorithm, randomUUID());
    await this.log.begin(id, name);
    return id;
  }

  async sizeBytes(upload: Upload): Promise<number> {
    const { record } = await this.log.read(upload);
    const writing = this.#writing.get(upload.id);
    return writing === undefined ? sizeOf(record) : writing.ask();
  }

  async append(upload: Upload, chunk: UploadChunk, { signal }: StorageCall = {}): Promise<number> {
    if (this.#writing.has(upload.id)) throw uploadBusy(await this.sizeBytes(upload));
    const saves = new SaveRequests();
    this.#writing.set(upload.id, saves);
    try {
      const head = await this.log.claim(upload, signal);
      const end = await this.#appendTo(head, chunk, { saves, signal });
      saves.answer(end);
      return end;
    } catch (error) {
      saves.refuse(error);
      throw error;
    } finally {
      this.#writing.delete(upload.id);
    }
  }

  async #appendTo(head: UploadHead, chunk: UploadChunk, options: Omit<PumpOptions, 'hash'>): Promise<number> {
    const received = sizeOf(head.record);
    try {
      if (chunk.offset !== undefined) checkChunkFollows({ first: chunk.offset, last: chunk.offset }, received);
      if (head.record.pieces.length >= PIECES_MAX) {
        throw new RegistryError('BLOB_UPLOAD_INVALID', `more than ${String(PIECES_MAX)} chunks`);
      }
    } catch (error) {
      await this.#release(head);
      throw error;
    }
    const progress = this.#resume(head);
    const writer = new AppendWriter({ ...this.#options, log: this.log, head });
    let failure: { readonly error: unknown } | undefined;
    try {
      await pump(chunk.body, writer, { ...options, hash: progress?.hash });
    } catch (error) {
      failure = { error };
    }
    // Also of a body that broke off: what has come is kept.
    const end = await writer.release();
    if (progress !== undefined) this.#remember(head.id, { ...progress, sequence: end.sequence });
    if (failure !== undefined) throw failure.error;
    return sizeOf(end.record);
  }

  /** @throws {@link RegistryError} `DIGEST_INVALID`, `BLOB_UPLOAD_UNKNOWN`; status 416: somebody else is writing */
  async finish(upload: Upload, digest: Digest, { signal }: StorageCall = {}): Promise<BlobInfo> {
    if (this.#writing.has(upload.id)) throw uploadBusy(await this.sizeBytes(upload));
    const head = await this.log.claim(upload, signal);
    const progress = this.#resume(head);
    let whole: UploadHead | undefined;
    try {
      whole = await this.#makeWhole(head);
      const [own] = whole.record.pieces;
      if (own === undefined) throw uploadUnknown();
      if (!(await this.#isDigest(own, digest, { progress, signal }))) {
        await this.#drop(whole);
        throw new RegistryError('DIGEST_INVALID', 'the bytes have another digest', { detail: { digest } });
      }
      await this.#publish(whole, own, { name: upload.name, digest });
      return { sizeBytes: own.sizeBytes };
    } catch (error) {
      // A refusal says that the upload is gone, or no longer ours.
      if (!isRegistryError(error)) await this.#release(whole ?? head);
      throw error;
    }
  }

  /** Brings all pieces into one. */
  async #makeWhole(head: UploadHead): Promise<UploadHead> {
    const { pieces } = head.record;
    if (pieces.length === 1) return head;
    const own = freshContent(head.id);
    const content = await compose(this.#options.bucket, pieces, own);
    const whole = await this.log.commit(head, { pieces: [content] });
    if (this.#options.conditional) await this.#removePieces(pieces);
    return whole;
  }

  async #isDigest(
    own: Content,
    digest: Digest,
    { progress, signal }: StorageCall & { readonly progress: Progress | undefined },
  ): Promise<boolean> {
    const [algorithm = '', hex] = digest.split(':');
    if (progress?.algorithm === algorithm) return progress.hash.digest('hex') === hex;
    const state = await judgeContent(this.#options.bucket, own, { digest, signal });
    if (state === 'gone') throw uploadUnknown();
    return state === 'intact';
  }

  /**
   * Gives a repository the blob: a content that others have already, or ours. The upload is ended before it is acknowledged,
   * so that nobody removes what it has become.
   */
  async #publish(head: UploadHead, own: Content, blob: BlobKey): Promise<void> {
    const { bucket } = this.#options;
    const known = await referToKnown(bucket, blob);
    const reference = known === undefined ? await addReference(bucket, blob, own) : undefined;
    const ended = (known ?? reference) !== undefined && ((await this.log.end(head)) || !this.#options.conditional);
    if (!ended) {
      if (reference !== undefined) await removeReference(bucket, blob, reference);
      throw uploadUnknown();
    }
    if (known !== undefined) await this.#removePieces([own]);
    await this.log.remove(head.id);
  }

  /** Takes an upload from whoever writes to it. @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  async cancel(upload: Upload): Promise<void> {
    for (;;) {
      const head = await this.log.read(upload);
      if (await this.#drop(head)) return;
    }
  }

  /** @returns false when somebody went on with it at the same time */
  async #drop(head: UploadHead): Promise<boolean> {
    this.#progress.delete(head.id);
    const ours = await this.log.end(head);
    if (!ours && (await this.log.isBehind(head))) return false;
    if (ours) await this.#removePieces(head.record.pieces);
    await this.log.remove(head.id);
    return true;
  }

  /** Without conditions on creates nobody knows whether pieces are his alone: then garbage collection finds them. */
  async #removePieces(pieces: readonly Content[]): Promise<void> {
    if (!this.#options.conditional) return;
    for (const { id } of pieces) await this.#options.bucket.remove(contentKey(id));
  }

  async removeStale(cutoffMs: number): Promise<number> {
    let removed = 0;
    for await (const { id, modifiedMs } of this.log.list()) {
      if (modifiedMs > cutoffMs) continue;
      const head = await this.log.latest(id);
      if (head !== undefined && (await this.#drop(head))) removed += 1;
    }
    await this.abortLost();
    return removed;
  }

  /** Gives back the room of objects whose parts were still arriving when their upload ended or their writer died. */
  async abortLost(): Promise<void> {
    const { bucket } = this.#options;
    for await (const multipart of bucket.listMultiparts(CONTENTS)) {
      const id = uploadOfContent(multipart.key.slice(CONTENTS.length));
      if (!(await this.log.exists(id))) await bucket.abortMultipart(multipart);
    }
  }

  /** Lets others write. Nothing to do when the upload is no longer ours. */
  async #release(head: UploadHead): Promise<void> {
    await this.log.commit(head, { writer: undefined }).catch(() => undefined);
  }

  /** Takes the hash of what is there, when it was fed by us and nobody has written since. */
  #resume({ id, sequence, record }: UploadHead): Progress | undefined {
    const progress = this.#progress.get(id);
    this.#progress.delete(id);
    if (progress?.sequence === sequence - 1) return progress;
    if (record.pieces.length > 0) return undefined;
    const algorithm = algorithmOf(id);
    return { algorithm, hash: createHash(algorithm), sequence };
  }

  #remember(id: string, progress: Progress): void {
    this.#progress.set(id, progress);
    const oldest = this.#progress.keys().next().value;
    if (this.#progress.size > HASHES_MAX && oldest !== undefined) this.#progress.delete(oldest);
  }
}
