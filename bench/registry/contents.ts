import { createHash, randomBytes } from 'node:crypto';

const TAIL_BYTES = 16;

/** Something to push. */
export interface Content {
  readonly parts: readonly Uint8Array[];
  readonly hex: string;
}

/**
 * Makes contents of one size that nobody has seen. They differ in their last bytes only, so that the hash of the rest is made
 * once, and not at the cost of the servers' processor time.
 */
export function contentsOf(sizeBytes: number): () => Content {
  const head = randomBytes(sizeBytes - TAIL_BYTES);
  const begun = createHash('sha256').update(head);
  return () => {
    const tail = randomBytes(TAIL_BYTES);
    return { parts: [head, tail], hex: begun.copy().update(tail).digest('hex') };
  };
}
