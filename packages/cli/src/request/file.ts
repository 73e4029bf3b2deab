import { readFileSync } from 'node:fs';

import { badValue } from '../errors.ts';

/** Reads a file that a flag names. */
export function readNamedFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = Error.isError(error) && 'code' in error ? String(error.code) : 'unreadable';
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'no such file or directory',
      EACCES: 'permission denied',
      EISDIR: 'is a directory',
    };
    throw badValue(`open ${path}: ${reasons[code] ?? code}`);
  }
}
