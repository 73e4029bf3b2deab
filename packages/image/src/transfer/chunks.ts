/** A piece of a layer that one request fetches. */
export interface Chunk {
  readonly start: number;
  readonly length: number;
}

const CHUNK_BYTES = 16 * 1024 ** 2;
/** More counters than this would make the progress of a huge layer a file of its own size class. */
const CHUNKS_MAX = 4096;
const GRAIN_BYTES = 1024 ** 2;

/** Chunks so large that a layer has a few thousand at most. */
export const chunkBytesFor = (size: number): number =>
  Math.max(CHUNK_BYTES, Math.ceil(size / CHUNKS_MAX / GRAIN_BYTES) * GRAIN_BYTES);

export const planChunks = (size: number, chunkBytes: number): readonly Chunk[] =>
  Array.from({ length: Math.ceil(size / chunkBytes) }, (_, i) => ({
    start: i * chunkBytes,
    length: Math.min(chunkBytes, size - i * chunkBytes),
  }));

/** The lowest chunk that is neither whole nor somebody's, so that what reads along from the start waits least. */
export const nextChunk = (
  chunks: readonly Chunk[],
  counts: readonly number[],
  taken: ReadonlySet<number>,
): number | undefined => {
  const found = chunks.findIndex(({ length }, i) => !taken.has(i) && (counts[i] ?? 0) < length);
  return found < 0 ? undefined : found;
};

/** How many bytes are there without a gap. */
export const contiguousBytes = (chunks: readonly Chunk[], counts: readonly number[]): number => {
  const gap = chunks.findIndex(({ length }, i) => (counts[i] ?? 0) < length);
  const chunk = chunks[gap];
  if (chunk !== undefined) return chunk.start + (counts[gap] ?? 0);
  const last = chunks.at(-1);
  return last === undefined ? 0 : last.start + last.length;
};
