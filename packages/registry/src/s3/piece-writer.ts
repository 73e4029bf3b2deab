import type { Bucket, Multipart, MultipartPart } from './bucket.ts';
import { contentKey } from './layout.ts';
import type { Content } from './layout.ts';

/** Parts that are on their way while the next one fills. */
const FLYING_MAX = 2;
/** The most parts that S3 makes an object of. */
const PARTS_MAX = 10_000;

export interface PieceWriterOptions {
  readonly bucket: Bucket;
  readonly id: string;
  readonly partBytes: number;
}

/**
 * Writes an object whose length nobody knows before its end, with a few parts of memory. Nothing is there before `finish`,
 * and what fits into one part is put as a whole.
 */
export class PieceWriter {
  readonly #bucket: Bucket;
  readonly #id: string;
  readonly #partBytes: number;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #sizeBytes = 0;
  #multipart: Multipart | undefined;
  #flying: Promise<MultipartPart>[] = [];
  readonly #parts: MultipartPart[] = [];
  #number = 0;

  constructor({ bucket, id, partBytes }: PieceWriterOptions) {
    this.#bucket = bucket;
    this.#id = id;
    this.#partBytes = partBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether the object can't grow by another part. */
  get isFull(): boolean {
    return this.#number >= PARTS_MAX - 1;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.byteLength > 0) {
      const taken = rest.subarray(0, this.#partBytes - this.#bufferedBytes);
      this.#chunks.push(taken);
      this.#bufferedBytes += taken.byteLength;
      this.#sizeBytes += taken.byteLength;
      rest = rest.subarray(taken.byteLength);
      if (this.#bufferedBytes === this.#partBytes) await this.#sendPart();
    }
  }

  /** Makes the object of all that was written. */
  async finish(): Promise<Content> {
    const content = { id: this.#id, sizeBytes: this.#sizeBytes };
    if (this.#multipart === undefined) {
      await this.#bucket.put(contentKey(this.#id), this.#take());
      return content;
    }
    if (this.#bufferedBytes > 0) await this.#sendPart();
    while (this.#flying.length > 0) await this.#land();
    await this.#bucket.completeMultipart(this.#multipart, this.#parts);
    return content;
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#flying);
    if (this.#multipart !== undefined) await this.#bucket.abortMultipart(this.#multipart);
  }

  #take(): Uint8Array {
    const [first] = this.#chunks;
    const bytes = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    [this.#chunks, this.#bufferedBytes] = [[], 0];
    return bytes;
  }

  async #sendPart(): Promise<void> {
    this.#multipart ??= await this.#bucket.beginMultipart(contentKey(this.#id));
    if (this.#flying.length >= FLYING_MAX) await this.#land();
    this.#number += 1;
    const part = this.#bucket.putPart(this.#multipart, this.#number, this.#take());
    // Its failure is met when it lands.
    part.catch(() => undefined);
    this.#flying.push(part);
  }

  async #land(): Promise<void> {
    const [oldest] = this.#flying;
    if (oldest === undefined) return;
    this.#parts.push(await oldest);
    this.#flying = this.#flying.slice(1);
  }
}
