import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';

import { codeOf } from '../failure.ts';
import { failed } from '../errors.ts';

/** A file that must be new, holds the id of the container made, and goes again when none was. */
export function openCidFile(path: string): Disposable & { write(id: string): void } {
  const fd = create(path);
  let written = false;
  return {
    write: (id) => {
      writeSync(fd, id);
      written = true;
    },
    [Symbol.dispose]: () => {
      closeSync(fd);
      if (!written) unlinkSync(path);
    },
  };
}

function create(path: string): number {
  try {
    return openSync(path, 'wx', 0o644);
  } catch (error) {
    const reason =
      codeOf(error) === 'EEXIST'
        ? `container ID file found, make sure the other container isn't running or delete ${path}`
        : `failed to create the container ID file: ${Error.isError(error) ? error.message : path}`;
    throw failed(reason, error);
  }
}
