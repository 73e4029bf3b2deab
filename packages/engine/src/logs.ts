import { closeSync, existsSync, fstatSync, openSync, readSync, readdirSync, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

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

/** The rotated files before the current one, the oldest first. */
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

  /** Whether the name now means another file: this one was rotated away. */
  isStale(path: string): boolean {
    const now = statSync(path, { throwIfNoEntry: false });
    return now !== undefined && now.ino !== fstatSync(this.#fd).ino;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function* readFile(path: string): Generator<LogEntry> {
  using reader = new LogReader(path);
  yield* reader.entries();
}

/** The last `count` entries of a run of lines; a piece of a long line counts with its line. */
function lastLines(entries: Iterable<LogEntry>, count: number): LogEntry[] {
  const kept: LogEntry[] = [];
  let lines = 0;
  for (const entry of entries) {
    kept.push(entry);
    if (!entry.text.endsWith('\n')) continue;
    lines += 1;
    while (lines > count) if (kept.shift()?.text.endsWith('\n') === true) lines -= 1;
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

async function* follow(path: string, first: LogReader, options: FollowOptions): AsyncGenerator<LogEntry> {
  let reader = first;
  try {
    for (;;) {
      const ended = options.hasEnded();
      yield* reader.entries();
      if (reader.isStale(path)) {
        yield* reader.entries();
        reader[Symbol.dispose]();
        reader = new LogReader(path);
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
  if (!existsSync(path)) {
    if (options.hasEnded()) return;
    throw new EngineError('ENGINE_NO_SUCH_PATH', 'configured logging driver does not support reading');
  }
  const reader = new LogReader(path);
  const past = function* (): Generator<LogEntry> {
    for (const file of rotatedFiles(path)) yield* readFile(file);
    yield* reader.entries();
  };
  const wanted = function* (): Generator<LogEntry> {
    for (const entry of past()) if (isWithin(entry, options)) yield entry;
  };
  yield* options.tail === undefined ? wanted() : lastLines(wanted(), options.tail);
  if (options.follow !== true) {
    reader[Symbol.dispose]();
    return;
  }
  for await (const entry of follow(path, reader, options)) if (isWithin(entry, options)) yield entry;
}
