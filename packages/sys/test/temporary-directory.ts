import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory extends Disposable {
  readonly path: string;
  readonly fd: number;
  /** The path of an entry, for Node's own functions. */
  readonly at: (name: string) => string;
}

export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), 'tsc-sys-'));
  const fd = openSync(path, constants.O_DIRECTORY);
  return {
    path,
    fd,
    at: (name) => join(path, name),
    [Symbol.dispose]: () => {
      closeSync(fd);
      rmSync(path, { recursive: true });
    },
  };
}

/** Closes a descriptor at the end of the scope. */
export const owned = (fd: number): Disposable & { readonly fd: number } => ({
  fd,
  [Symbol.dispose]: () => {
    closeSync(fd);
  },
});

/** The error that `call` throws. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
