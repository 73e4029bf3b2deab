import { createHash, type Hash } from 'node:crypto';

import type { Digest } from '../digest.ts';

/** Counts and hashes bytes that pass. */
export class Meter {
  #bytes = 0;
  readonly #hash: Hash = createHash('sha256');

  get bytes(): number {
    return this.#bytes;
  }

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
  }

  /** Hands a stream on, and adds what goes by. */
  async *pass(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of stream) {
      this.add(chunk);
      yield chunk;
    }
  }

  /** Ends the hash. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
