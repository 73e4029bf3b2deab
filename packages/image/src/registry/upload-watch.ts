import type { WireRequest } from './transport.ts';

export const isStream = (body: WireRequest['body']): body is AsyncIterable<Uint8Array> =>
  body !== undefined && Symbol.asyncIterator in body;

interface Watched {
  readonly body: AsyncIterable<Uint8Array>;
  /** The caller's signal, or that the server has taken nothing for too long. */
  readonly signal: AbortSignal;
  readonly watch: Disposable;
}

/** Gives up a server that stops taking what it is sent. Time that the source of the bytes takes doesn't count. */
export const watchUpload = (
  source: AsyncIterable<Uint8Array>,
  stallMs: number,
  signal: AbortSignal | undefined,
): Watched => {
  const stalled = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const give = (): void =>
    stalled.abort(Object.assign(new Error('the upload has stalled'), { code: 'UND_ERR_BODY_TIMEOUT' }));
  async function* watched(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      timer = setTimeout(give, stallMs);
      try {
        yield chunk;
      } finally {
        clearTimeout(timer);
      }
    }
  }
  return {
    body: watched(),
    signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
    watch: {
      [Symbol.dispose]: () => {
        clearTimeout(timer);
      },
    },
  };
};
