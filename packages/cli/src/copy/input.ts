import { createReadStream, fstatSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';

export interface Input extends Disposable {
  readonly stream: Readable;
  /** 0 when nobody knows. */
  readonly sizeBytes: number;
}

/** Opens a file for reading, or standard input without a path, which must not be a terminal. */
export function openInput(path: string | undefined): Input {
  if (path === undefined) {
    if (process.stdin.isTTY) throw failed('requested load from stdin, but stdin is a terminal');
    return { stream: process.stdin, sizeBytes: 0, [Symbol.dispose]: () => undefined };
  }
  const fd = open(path);
  const stream = createReadStream(path, { fd });
  return { stream, sizeBytes: fstatSync(fd).size, [Symbol.dispose]: () => void stream.destroy() };
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const code = codeOf(error);
    throw failed(`open ${path}: ${code === 'ENOENT' ? 'no such file or directory' : (code ?? 'failed')}`, error);
  }
}
