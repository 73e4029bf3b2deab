import { stat } from 'node:fs/promises';

import { RegistryConfigError } from './errors.ts';

/** A value that is made of files, and made anew when they change. */
export interface Watched<T> extends Disposable {
  readonly current: T;
}

export interface WatchOptions {
  /** How often files are looked at. */
  readonly intervalMs: number;
  /** Is told when the new value can't be made; the old one stays. */
  readonly onFailure: ((failure: unknown) => void) | undefined;
}

/** What changes whenever a file does, also when another one takes its name. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const marks = paths.map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return `${path}: ${codeOf(error)}`;
    }
  });
  return (await Promise.all(marks)).join('\n');
}

/**
 * Makes a value of files, and again after each change of them: by looking at them now and then, since a change by rename,
 * through a symbolic link or over a network wakes nobody up.
 *
 * @throws what `make` throws the first time
 */
export async function watchFiles<T>(
  paths: readonly string[],
  make: () => Promise<T>,
  { intervalMs, onFailure }: WatchOptions,
): Promise<Watched<T>> {
  let seen = await fingerprint(paths);
  let current = await make();
  let settling: string | undefined;
  let looking = false;
  const look = async (): Promise<void> => {
    const now = await fingerprint(paths);
    // Files are taken when they have stood still from one look to the next: half a list of accounts is one too.
    const settled = now === settling;
    settling = now;
    if (now === seen || !settled) return;
    // First, so that a change while we read is the next one, and a bad file is complained about once.
    seen = now;
    current = await make();
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((failure: unknown) => onFailure?.(failure))
      .finally(() => (looking = false));
  }, intervalMs).unref();
  return {
    get current() {
      return current;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Does something with a file. @throws {@link RegistryConfigError} `CONFIG_FILE_UNREADABLE` */
export async function withFile<T>(path: string, option: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (cause) {
    const message = `${option}: cannot use ${path}: ${codeOf(cause)}`;
    throw new RegistryConfigError('CONFIG_FILE_UNREADABLE', message, { option, path, cause });
  }
}
