import type { ByteRange } from '../ranges.ts';

/** S3 takes no smaller part but the last, and copies no more than 5 GiB as one. */
export const PART_MIN_BYTES: number = 5 * 1024 * 1024;
const COPY_MAX_BYTES = 1024 * 1024 * 1024;

/** A range of one of the pieces. */
export interface PieceRange {
  readonly piece: number;
  readonly range: ByteRange;
}

/** A part of the object that pieces become: copied by the server, or small ranges that go through us. */
export type CompositionPart =
  | { readonly type: 'copy'; readonly from: PieceRange }
  | { readonly type: 'join'; readonly from: readonly PieceRange[] };

/**
 * Plans how pieces of these sizes become one object: what is large is copied where it is; of what is small, and of what
 * follows it, as much goes through our memory as a part must have.
 */
export function planComposition(sizesBytes: readonly number[]): readonly CompositionPart[] {
  const parts: CompositionPart[] = [];
  let joined: PieceRange[] = [];
  let joinedBytes = 0;
  const join = (): void => {
    if (joined.length > 0) parts.push({ type: 'join', from: joined });
    [joined, joinedBytes] = [[], 0];
  };
  for (const [piece, sizeBytes] of sizesBytes.entries()) {
    let at = 0;
    if (sizeBytes > 0 && (joinedBytes > 0 || sizeBytes < PART_MIN_BYTES)) {
      const wanted = Math.min(sizeBytes, PART_MIN_BYTES - joinedBytes);
      // No rest that would be too small to be copied.
      at = sizeBytes - wanted < PART_MIN_BYTES ? sizeBytes : wanted;
      joined.push({ piece, range: { first: 0, last: at - 1 } });
      joinedBytes += at;
      if (joinedBytes >= PART_MIN_BYTES) join();
    }
    if (at < sizeBytes) parts.push(...copies(piece, at, sizeBytes));
  }
  join();
  return parts;
}

function copies(piece: number, start: number, end: number): readonly CompositionPart[] {
  const count = Math.ceil((end - start) / COPY_MAX_BYTES);
  const edge = (at: number): number => start + Math.floor(((end - start) * at) / count);
  return Array.from({ length: count }, (_, at) => ({
    type: 'copy',
    from: { piece, range: { first: edge(at), last: edge(at + 1) - 1 } },
  }));
}
