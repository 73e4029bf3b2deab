import { closeSync, fstatSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { hasCode } from '@tsc/sys';

import type { LogEntry } from './api.ts';

const CHUNK_BYTES = 64 * 1024;
/** A busy log is rotated every millisecond at most; opening its files takes less. */
const ATTEMPTS = 20;

interface LogRecord {
  readonly log: string;
  readonly stream: 'stdout' | 'stderr';
  readonly time: string;
}

/** Names of a log's files, the oldest first: `log.2`, `log.1`, `log`. */
function logFiles(path: string): string[] {
  const prefix = `${basename(path)}.`;
  const rotated = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .toSorted((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))
    .map((name) => join(dirname(path), name));
  return [...rotated, path];
}

/** A line as the monitor wrote it. One that a crash cut off in the middle is none. */
function parseLine(line: string): LogEntry | undefined {
  try {
    const { log, stream, time } = JSON.parse(line) as LogRecord;
    return { text: log, stream, time };
  } catch {
    return undefined;
  }
}

/** Reads one file to its present end, and further each time it is asked again. */
export class LogReader implements Disposable {
  readonly #fd: number;
  #closed = false;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  *entries(): Generator<LogEntry> {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let count; (count = readSync(this.#fd, chunk, 0, CHUNK_BYTES, this.#offset)) > 0;) {
      this.#offset += count;
      const bytes = Buffer.concat([this.#rest, chunk.subarray(0, count)]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      this.#rest = bytes.subarray(end);
      for (const line of bytes.toString('utf8', 0, end).split('\n')) {
        const entry = line === '' ? undefined : parseLine(line);
        if (entry !== undefined) yield entry;
      }
    }
  }

  /** Whether this is the file at a path: an inode's number is not used again while it is open. */
  isFileAt(path: string): boolean {
    return statSync(path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  isSameFile(other: LogReader): boolean {
    return other.#inode === this.#inode;
  }

  get #inode(): number {
    return fstatSync(this.#fd).ino;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}

function openIfThere(path: string): LogReader | undefined {
  try {
    return new LogReader(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * Opens all of a log's files, the oldest first and the current one last; none when there is no log. Each rotation gives
 * every file another name, so this is done again until none has come in between.
 */
export function openLog(path: string): readonly LogReader[] {
  for (let attempt = 1; ; attempt += 1) {
    const files = logFiles(path);
    const readers = files.flatMap((file) => openIfThere(file) ?? []);
    const steady = readers.length === files.length && readers.every((reader, at) => reader.isFileAt(files[at] ?? ''));
    if ((steady && logFiles(path).length === files.length) || attempt === ATTEMPTS) return readers;
    closeAll(readers);
  }
}

export function closeAll(readers: readonly LogReader[]): void {
  for (const reader of readers) reader[Symbol.dispose]();
}
