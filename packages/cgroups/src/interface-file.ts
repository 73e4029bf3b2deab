import { constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { CgroupError, errnoOf } from './errors.ts';

/** What a file or directory of a cgroup says when it is not there, or its cgroup was removed while open. */
const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENODEV']);

/** The file's text, or `undefined` where this kernel or this cgroup has no such file. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const errno = errnoOf(error);
    if (GONE.has(errno)) return undefined;
    throw new CgroupError('CGROUP_READ_REFUSED', `cannot read ${path}: ${String(errno)}`, {
      path,
      errno,
      cause: error,
    });
  }
}

/** @throws {@link CgroupError} `CGROUP_NOT_FOUND` when the file, and so most likely its cgroup, is gone */
export function readInterfaceFile(path: string): string {
  const text = readOptional(path);
  if (text === undefined) throw new CgroupError('CGROUP_NOT_FOUND', `cannot read ${path}: no such cgroup`, { path });
  return text;
}

/** Writes an existing file in one `write(2)`, which is how the kernel takes a value. */
export function writeInterfaceFile(path: string, data: string): void {
  try {
    // Not O_CREAT: it would turn a missing file's ENOENT into EACCES.
    writeFileSync(path, data, { flag: constants.O_WRONLY as unknown as string });
  } catch (error) {
    throw refusedWrite(path, data, error);
  }
}

function refusedWrite(path: string, data: string, cause: unknown): CgroupError {
  const errno = errnoOf(cause);
  const gone = GONE.has(errno);
  const code = !gone
    ? 'CGROUP_WRITE_REFUSED'
    : existsSync(dirname(path))
      ? 'CGROUP_CONTROLLER_OFF'
      : 'CGROUP_NOT_FOUND';
  return new CgroupError(code, `cannot write ${JSON.stringify(data)} to ${path}: ${String(errno)}`, {
    path,
    errno,
    cause,
  });
}

/** The lines of a "flat keyed" file such as memory.stat: `name value`. Lines with other shapes are left out. */
export function parseFlatKeyed(text: string): ReadonlyMap<string, bigint> {
  const values = new Map<string, bigint>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    const value = line.slice(space + 1);
    if (space > 0 && /^\d+$/.test(value)) values.set(line.slice(0, space), BigInt(value));
  }
  return values;
}

/** A file that holds one number; `'max'` where it says so. */
export const parseNumber = (text: string): bigint | 'max' => (text.trim() === 'max' ? 'max' : BigInt(text.trim()));
