import { watch } from 'node:fs';
import { dirname } from 'node:path';

import type { LogEntry, LogsOptions } from './api.ts';
import { EngineError } from './errors.ts';
import { closeAll, openLog } from './log-reader.ts';
import type { LogReader } from './log-reader.ts';

/** The end of a container makes no change to its log, so that is looked at now and then, too. */
const POLL_MS = 200;

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

/** What has been written since to a log whose last reader came to the end of what was its current file then. */
function reopen(path: string, readers: readonly LogReader[]): readonly LogReader[] {
  const last = readers.at(-1);
  if (last?.isFileAt(path) !== false) return readers;
  const files = openLog(path);
  const known = files.findIndex((file) => file.isSameFile(last)) + 1;
  closeAll(files.slice(0, known));
  return known === files.length ? readers : files.slice(known);
}

function* readAll(readers: readonly LogReader[]): Generator<LogEntry> {
  for (const reader of readers) yield* reader.entries();
}

export interface FollowOptions extends LogsOptions {
  /** Whether nothing will be added any more. Asked before the last read, so that nothing is missed. */
  readonly hasEnded: () => boolean;
}

function isWithin({ time }: LogEntry, { since, until }: LogsOptions): boolean {
  const at = Date.parse(time);
  return (since === undefined || at >= since.getTime()) && (until === undefined || at <= until.getTime());
}

function* within(entries: Iterable<LogEntry>, options: LogsOptions): Generator<LogEntry> {
  for (const entry of entries) if (isWithin(entry, options)) yield entry;
}

const isOver = ({ hasEnded, until }: FollowOptions): boolean =>
  hasEnded() || (until !== undefined && Date.now() > until.getTime());

/** What a container has said, from its log files; with `follow`, also what it says until it ends. */
export async function* readLogs(path: string, options: FollowOptions): AsyncGenerator<LogEntry> {
  let readers = openLog(path);
  try {
    if (readers.length === 0) {
      if (options.hasEnded()) return;
      throw new EngineError('ENGINE_NO_SUCH_PATH', 'configured logging driver does not support reading');
    }
    const past = within(readAll(readers), options);
    yield* options.tail === undefined ? past : lastLines(past, options.tail);
    while (options.follow === true) {
      const over = isOver(options);
      yield* within(readAll(readers), options);
      const next = reopen(path, readers);
      if (next !== readers) {
        yield* within(readAll(readers), options); // written just before the rotation
        closeAll(readers);
        readers = next;
        continue;
      }
      if (over) return;
      await change(path, options.signal);
      options.signal?.throwIfAborted();
    }
  } finally {
    closeAll(readers);
  }
}
