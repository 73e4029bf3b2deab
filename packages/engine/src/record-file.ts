import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { hasCode } from '@tsc/sys';

export interface WriteOptions {
  /** Whether it must survive a power cut, too, and not only the death of this process. Costs milliseconds. */
  readonly durable: boolean;
}

/** Writes a file whole: under another name, then renamed over it. A reader sees the old one or the new one. */
export function writeWhole(path: string, content: string, { durable }: WriteOptions): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeFileSync(fd, content); // all of it: a full disk may take a part, and that is no error of write(2)
    if (durable) fsyncSync(fd);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  if (durable) syncDirectory(dirname(path));
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A file's text, or `undefined` when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** A JSON file that we wrote ourselves, or `undefined` when there is none. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- who wrote the file knows its type
export function readRecord<T>(path: string): T | undefined {
  const text = readIfThere(path);
  return text === undefined || text === '' ? undefined : (JSON.parse(text) as T);
}
