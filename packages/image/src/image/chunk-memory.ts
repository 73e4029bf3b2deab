import type { Readable } from 'node:stream';

/** Streams each of whose chunks is memory that nobody else has. */
const unshared = new WeakSet<Readable>();

/** Says of a stream that whoever reads it is the only one to have its chunks, so that it may {@link release} them. */
export const markUnshared = <S extends Readable>(stream: S): S => {
  unshared.add(stream);
  return stream;
};

export const isUnshared = (stream: Readable): boolean => unshared.has(stream);

/**
 * Gives a chunk's memory back without waiting for the garbage collector, which is in no hurry: it looks at the objects,
 * and a chunk is a small one. Only when the chunk reaches to the end of its memory, because what follows may be somebody's
 * next chunk, and is most of it, as no chunk of Node's pool for small ones is.
 */
export const release = ({ buffer, byteOffset, length }: Uint8Array): void => {
  if (byteOffset + length === buffer.byteLength && length * 2 >= buffer.byteLength) (buffer as ArrayBuffer).transfer(0);
};

/** A stream's chunks, each dead when the next one is asked for. */
export async function* releasing(stream: Readable): AsyncGenerator<Buffer, void, void> {
  const isOwn = isUnshared(stream);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    yield chunk;
    if (isOwn) release(chunk);
  }
}

/**
 * Chunks of what `read` gives until it gives nothing, each dead when the next one is asked for: two buffers do for a source
 * of any size, one of which is filled while the other one is worked on.
 *
 * @param read - fills the buffer with bytes from a position on, and says how many
 */
export async function* alternating(
  read: (into: Buffer, position: number) => Promise<number>,
  chunkBytes: number,
): AsyncGenerator<Buffer, void, void> {
  let [filling, taken] = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
  let reading = read(filling, 0);
  for (let position = 0; ;) {
    const bytes = await reading;
    if (bytes === 0) return;
    position += bytes;
    [filling, taken] = [taken, filling];
    reading = read(filling, position);
    // It may fail while nobody waits for it.
    reading.catch(() => undefined);
    yield taken.subarray(0, bytes);
  }
}
