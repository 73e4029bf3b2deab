import { createReadStream, openSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';

/** Opens a file for reading, or standard input without a path, which must not be a terminal. */
export function openInput(path: string | undefined): Disposable & { readonly stream: Readable } {
  if (path === undefined) {
    if (process.stdin.isTTY) throw failed('requested load from stdin, but stdin is a terminal');
    return { stream: process.stdin, [Symbol.dispose]: () => undefined };
  }
  const stream = createReadStream(path, { fd: open(path) });
  return { stream, [Symbol.dispose]: () => void stream.destroy() };
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const code = codeOf(error);
    throw failed(`open ${path}: ${code === 'ENOENT' ? 'no such file or directory' : (code ?? 'failed')}`, error);
  }
}
