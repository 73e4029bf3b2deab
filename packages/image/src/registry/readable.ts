import { Readable } from 'node:stream';

/**
 * A stream of what a generator gives. Destroying the stream aborts the generator's signal, so that it doesn't wait for a
 * connection that nobody listens to; aborting `signal` destroys the stream.
 */
export const readableOf = (
  run: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, void>,
  signal?: AbortSignal,
): Readable => {
  const ended = new AbortController();
  const either = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const chunks = run(either);
  const stream = new Readable({
    read() {
      chunks.next().then(
        ({ done, value }) => {
          this.push(done === true ? null : value);
        },
        (error: unknown) => {
          this.destroy(error as Error);
        },
      );
    },
    destroy(error, done) {
      signal?.removeEventListener('abort', onAbort);
      ended.abort(error ?? new Error('the stream was closed'));
      const close = (): void => done(error);
      chunks.return().then(close, close);
    },
  });
  const onAbort = (): void => {
    stream.destroy(signal?.reason as Error);
  };
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return stream;
};
