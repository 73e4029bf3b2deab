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

/** Bytes without a gap that one request is to bring, in chunks `first` to `last`. */
export interface Run {
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The lowest bytes that are neither there nor somebody's, so that what reads along from the start waits least: the rest of
 * one chunk, or, for one who works alone, of all chunks up to the next that has begun.
 */
export const nextRun = (
  chunks: readonly Chunk[],
  counts: readonly number[],
  { taken, alone }: { readonly taken: ReadonlySet<number>; readonly alone: boolean },
): Run | undefined => {
  const first = chunks.findIndex(({ length }, i) => !taken.has(i) && (counts[i] ?? 0) < length);
  if (first < 0) return undefined;
  let last = first;
  while (alone && counts[last + 1] === 0 && !taken.has(last + 1)) last += 1;
  const [begin, finish] = [chunks[first] as Chunk, chunks[last] as Chunk];
  return { first, last, start: begin.start + (counts[first] ?? 0), end: finish.start + finish.length };
};

/** How many bytes are there without a gap. */
export const contiguousBytes = (chunks: readonly Chunk[], counts: readonly number[]): number => {
  const gap = chunks.findIndex(({ length }, i) => (counts[i] ?? 0) < length);
  const chunk = chunks[gap];
  if (chunk !== undefined) return chunk.start + (counts[gap] ?? 0);
  const last = chunks.at(-1);
  return last === undefined ? 0 : last.start + last.length;
};
