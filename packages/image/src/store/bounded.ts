/**
 * Does something for each item, a few at a time, and returns the results in order. When one fails, the others are told to
 * stop, and the first error is thrown when all have: nothing runs on after it.
 */
export const mapBounded = async <T, R>(
  items: readonly T[],
  { limit, signal }: { readonly limit: number; readonly signal: AbortSignal | undefined },
  act: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<readonly R[]> => {
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const results: R[] = [];
  let failure: { readonly error: unknown } | undefined;
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length && failure === undefined; at = next++) {
      try {
        either.throwIfAborted();
        results[at] = await act(items[at] as T, either);
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
  return results;
};
