import type { RunEvent } from './run-step.ts';

type Output = Extract<RunEvent, { readonly type: 'output' }>;
type StreamName = Output['stream'];

/**
 * Two streams as one, in the order in which their pieces come. Nothing is read that nobody asks for, so a reader that is slow
 * slows the writer down.
 */
export async function* mergeOutput(
  streams: Readonly<Record<StreamName, AsyncIterable<unknown>>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Output, void, void> {
  signal?.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  const abort = (): void => {
    aborted.reject(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    yield* merged(streams, aborted.promise);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

async function* merged(
  streams: Readonly<Record<StreamName, AsyncIterable<unknown>>>,
  aborted: Promise<never>,
): AsyncGenerator<Output, void, void> {
  const next = async (
    stream: StreamName,
    iterator: AsyncIterator<unknown>,
  ): Promise<{ readonly stream: StreamName; readonly result: IteratorResult<unknown> }> => ({
    stream,
    result: await iterator.next(),
  });
  const iterators = {
    stdout: streams.stdout[Symbol.asyncIterator](),
    stderr: streams.stderr[Symbol.asyncIterator](),
  };
  const waiting = new Map((['stdout', 'stderr'] as const).map((name) => [name, next(name, iterators[name])]));
  while (waiting.size > 0) {
    const { stream, result } = await Promise.race([...waiting.values(), aborted]);
    if (result.done === true) waiting.delete(stream);
    else {
      yield { type: 'output', stream, bytes: result.value as Uint8Array };
      waiting.set(stream, next(stream, iterators[stream]));
    }
  }
}
