/** What is passed on to a container without a terminal; with one, keys arrive as bytes. */
const FORWARDED = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGTSTP',
] as const;

/** Hands every signal this process gets to `deliver` instead, until disposed. */
export function forwardSignals(deliver: (signalName: string) => void): Disposable {
  for (const name of FORWARDED) process.on(name, deliver);
  return {
    [Symbol.dispose]: () => {
      for (const name of FORWARDED) process.off(name, deliver);
    },
  };
}

const ENDING = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Runs `clean` and ends the process the way the signal would have, with 128 + its number; until disposed. */
export function endOnSignal(clean: () => void): Disposable {
  const end = (name: NodeJS.Signals): void => {
    clean();
    process.exit(128 + ENDING[name as keyof typeof ENDING]);
  };
  const names = Object.keys(ENDING) as (keyof typeof ENDING)[];
  for (const name of names) process.on(name, end);
  return {
    [Symbol.dispose]: () => {
      for (const name of names) process.off(name, end);
    },
  };
}

/** Aborts on SIGINT and SIGTERM while something is being started; `exitCode` tells which came. */
export function abortOnSignal(): Disposable & { readonly signal: AbortSignal; readonly exitCode: number | undefined } {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const abort = (name: NodeJS.Signals): void => {
    exitCode = 128 + ENDING[name as keyof typeof ENDING];
    controller.abort();
  };
  process.on('SIGINT', abort).on('SIGTERM', abort);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]: () => {
      process.off('SIGINT', abort).off('SIGTERM', abort);
    },
  };
}
