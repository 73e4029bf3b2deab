import { closeSync, fstatSync, openSync, readSync, readdirSync, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { hasCode } from '@tsc/sys';

import type { LogEntry, LogsOptions } from './api.ts';
import { EngineError } from './errors.ts';

const CHUNK_BYTES = 64 * 1024;
/** The end of a container makes no change to its log, so that is looked at now and then, too. */
const POLL_MS = 200;

interface LogRecord {
  readonly log: string;
  readonly stream: 'stdout' | 'stderr';
  readonly time: string;
}

/** The rotated files before the current one, the oldest first. What is looked at here may be rotated away meanwhile. */
function rotatedFiles(path: string): string[] {
  const prefix = `${basename(path)}.`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .toSorted((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))
    .map((name) => join(dirname(path), name));
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
class LogReader implements Disposable {
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

  /** Whether this is the file at a path. Inode numbers are not used again while it is open. */
  isFileAt(path: string): boolean {
    const { dev, ino } = fstatSync(this.#fd);
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.ino === ino && found.dev === dev;
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

function* readFiles(paths: readonly string[]): Generator<LogEntry> {
  for (const path of paths) {
    using reader = openIfThere(path);
    if (reader !== undefined) yield* reader.entries();
  }
}

/** The last `count` entries of a run of lines; a piece of a long line counts with its line. */
function lastLines(entries: Iterable<LogEntry>, count: number): LogEntry[] {
  const kept: LogEntry[] = [];
  let lines = 0;
  let begins = true;
  for (const entry of entries) {
    // The last line may have no end yet, and a long one comes in pieces.
    if (begins) lines += 1;
    begins = entry.text.endsWith('\n');
    kept.push(entry);
    while (lines > count && kept.length > 0) if (kept.shift()?.text.endsWith('\n') === true) lines -= 1;
  }
  return count === 0 ? [] : kept;
}

/** Resolves when the log has changed, or when it is time to look anyway. */
async function change(path: string, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => {
    resolve(undefined);
  };
  const watcher = watch(dirname(path), done);
  const timer = setTimeout(done, POLL_MS);
  signal?.addEventListener('abort', done, { once: true });
  try {
    await promise;
  } finally {
    watcher.close();
    clearTimeout(timer);
    signal?.removeEventListener('abort', done);
  }
}

/** The files that came after one which was rotated away, but for the current: it may have been more than one. */
function filesSince(path: string, reader: LogReader): readonly string[] {
  const rotated = rotatedFiles(path);
  const at = rotated.findIndex((file) => reader.isFileAt(file));
  return at === -1 ? rotated : rotated.slice(at + 1);
}

async function* follow(path: string, first: LogReader, options: FollowOptions): AsyncGenerator<LogEntry> {
  let reader = first;
  try {
    for (;;) {
      const ended = options.hasEnded() || (options.until !== undefined && Date.now() > options.until.getTime());
      yield* reader.entries();
      const next = reader.isFileAt(path) ? undefined : openIfThere(path);
      if (next !== undefined) {
        yield* reader.entries();
        yield* readFiles(filesSince(path, reader));
        reader[Symbol.dispose]();
        reader = next;
        continue;
      }
      if (ended) return;
      await change(path, options.signal);
      options.signal?.throwIfAborted();
    }
  } finally {
    reader[Symbol.dispose]();
  }
}

export interface FollowOptions extends LogsOptions {
  /** Whether nothing will be added any more. Asked before the last read, so that nothing is missed. */
  readonly hasEnded: () => boolean;
}

function isWithin({ time }: LogEntry, { since, until }: LogsOptions): boolean {
  const at = Date.parse(time);
  return (since === undefined || at >= since.getTime()) && (until === undefined || at <= until.getTime());
}

/** What a container has said, from its log files; with `follow`, also what it says until it ends. */
export async function* readLogs(path: string, options: FollowOptions): AsyncGenerator<LogEntry> {
  const reader = openIfThere(path);
  if (reader === undefined) {
    if (options.hasEnded()) return;
    throw new EngineError('ENGINE_NO_SUCH_PATH', 'configured logging driver does not support reading');
  }
  try {
    yield* pastEntries(path, reader, options);
    if (options.follow !== true) return;
    for await (const entry of follow(path, reader, options)) if (isWithin(entry, options)) yield entry;
  } finally {
    reader[Symbol.dispose]();
  }
}

function pastEntries(path: string, reader: LogReader, options: LogsOptions): Iterable<LogEntry> {
  const wanted = function* (): Generator<LogEntry> {
    const older = rotatedFiles(path).filter((file) => !reader.isFileAt(file));
    for (const entry of readFiles(older)) if (isWithin(entry, options)) yield entry;
    for (const entry of reader.entries()) if (isWithin(entry, options)) yield entry;
  };
  return options.tail === undefined ? wanted() : lastLines(wanted(), options.tail);
}
