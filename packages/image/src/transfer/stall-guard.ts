import type { Readable } from 'node:stream';

import { ImageError } from '../errors.ts';

/** Fewer bytes than this in the guard's time are as good as none, however regularly they drip. */
const LEAST_BYTES = 16 * 1024;

/** Ends a stream that brings next to nothing. */
export class StallGuard implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor(stream: Readable, stallMs: number) {
    this.#timer = setInterval(() => {
      if (this.#bytes < LEAST_BYTES) stream.destroy(tooSlow(this.#bytes, stallMs));
      this.#bytes = 0;
    }, stallMs);
  }

  saw(bytes: number): void {
    this.#bytes += bytes;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

const tooSlow = (bytes: number, ms: number): ImageError =>
  new ImageError('REGISTRY_UNREACHABLE', `registry sent ${String(bytes)} bytes in ${String(ms / 1000)} s`);
