import type { Readable } from 'node:stream';

const WAITING_BYTES = 256 * 1024;

/**
 * What a stream has brought since it was last asked, as it came: nothing is copied together, as `read()` and with it
 * `for await` over the stream itself would. Destroys the stream at the end.
 *
 * @param waitingBytes - how much may wait for its reader, about
 */
export async function* piecesOf(
  stream: Readable,
  waitingBytes: number = WAITING_BYTES,
): AsyncGenerator<readonly Buffer[], void, void> {
  const pieces: Buffer[] = [];
  const state: { bytes: number; isOver: boolean; error: unknown } = { bytes: 0, isOver: false, error: undefined };
  let news: PromiseWithResolvers<undefined> = Promise.withResolvers();
  stream.on('data', (piece: Buffer) => {
    pieces.push(piece);
    state.bytes += piece.length;
    if (state.bytes >= waitingBytes) stream.pause();
    news.resolve(undefined);
  });
  stream.once('error', (error) => {
    state.error = error;
  });
  // After the end, an error, or whoever has destroyed it.
  stream.once('close', () => {
    state.isOver = true;
    news.resolve(undefined);
  });
  try {
    while (!state.isOver || pieces.length > 0) {
      if (pieces.length === 0) await news.promise;
      news = Promise.withResolvers();
      if (state.isOver) news.resolve(undefined);
      if (pieces.length > 0) yield pieces.splice(0);
      state.bytes = 0;
      stream.resume();
    }
    if (state.error !== undefined) throw state.error as Error;
  } finally {
    stream.destroy();
  }
}
