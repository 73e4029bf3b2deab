import { setTimeout as sleep } from 'node:timers/promises';

/** Does something again and again, each time so long after the last; what it throws is told. It keeps no process alive. */
export function repeat(
  everyMs: number,
  act: (signal: AbortSignal) => Promise<void>,
  onFailure: (failure: unknown) => void,
): AsyncDisposable {
  const ending = new AbortController();
  const { signal } = ending;
  const run = async (): Promise<void> => {
    for (;;) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      await act(signal).catch((failure: unknown) => {
        if (!signal.aborted) onFailure(failure);
      });
    }
  };
  const running = run();
  return {
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await running;
    },
  };
}
