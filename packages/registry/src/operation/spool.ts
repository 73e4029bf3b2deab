import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { syncDir, unlessMissing } from '../filesystem/durable.ts';
import type { EnvelopeEvent } from './envelope.ts';

/** An event that waits, by its number in the order of its target. */
export interface Waiting {
  readonly number: number;
  readonly event: EnvelopeEvent;
}

/** What an earlier process left. */
export interface Left {
  readonly spool: Spool;
  /** What isn't done, in order. */
  readonly waiting: readonly Waiting[];
  /** A number that none of the spool's events has had. */
  readonly next: number;
}

const SEGMENT_EVENTS = 1000;
const DONE = 'done';

interface Segment {
  readonly path: string;
  readonly first: number;
  count: number;
}

/**
 * Events of one target on a disk: files of lines, named for their first event's number, and a file with the number up to
 * which all is done. A line that a crash cut off was never promised to anybody; an event that was sent and not yet marked as
 * done is sent again.
 */
export class Spool {
  readonly #dir: string;
  readonly #segments: Segment[] = [];
  #done: number;
  #savedDone: number;

  private constructor(dir: string, done: number) {
    this.#dir = dir;
    this.#done = done;
    this.#savedDone = done;
  }

  static async open(dir: string): Promise<Left> {
    await mkdir(dir, { recursive: true });
    const done = Number((await unlessMissing(readFile(join(dir, DONE), 'utf8'))) ?? 0);
    const spool = new Spool(dir, Number.isSafeInteger(done) ? done : 0);
    const firsts = (await readdir(dir)).filter((name) => /^\d+\.jsonl$/.test(name)).map((name) => parseInt(name, 10));
    const waiting: Waiting[] = [];
    let last = spool.#done;
    for (const first of firsts.sort((a, b) => a - b)) {
      const path = segmentPath(dir, first);
      const found = parseLines(await readFile(path, 'utf8'));
      waiting.push(...found.filter(({ number }) => number > spool.#done));
      last = Math.max(last, first, found.at(-1)?.number ?? 0);
      // Nothing is added to a file that may end in half a line.
      spool.#segments.push({ path, first, count: SEGMENT_EVENTS });
    }
    return { spool, waiting, next: last + 1 };
  }

  /** Resolves when these would survive the machine. For one caller at a time, with numbers that grow. */
  async append(events: readonly Waiting[]): Promise<void> {
    const [head] = events;
    if (head === undefined) return;
    const last = this.#segments.at(-1);
    const segment = last !== undefined && last.count < SEGMENT_EVENTS ? last : this.#begin(head.number);
    const before = segment.count;
    // Until all of it is written, nothing more may follow.
    segment.count = SEGMENT_EVENTS;
    {
      await using handle = await open(segment.path, before === 0 ? 'w' : 'a');
      await handle.writeFile(events.map((waiting) => `${JSON.stringify(waiting)}\n`).join(''));
      await handle.datasync();
    }
    segment.count = before + events.length;
    if (before === 0) await syncDir(this.#dir);
  }

  #begin(first: number): Segment {
    const segment = { path: segmentPath(this.#dir, first), first, count: 0 };
    this.#segments.push(segment);
    return segment;
  }

  /** Up to here all is delivered or given up. */
  markDone(number: number): void {
    this.#done = Math.max(this.#done, number);
  }

  /** Writes that down, and removes the files that are done with. For one caller at a time. */
  async save(): Promise<void> {
    const done = this.#done;
    if (done === this.#savedDone) return;
    const beside = join(this.#dir, `${DONE}.new`);
    {
      await using handle = await open(beside, 'w');
      await handle.writeFile(String(done));
      await handle.datasync();
    }
    await rename(beside, join(this.#dir, DONE));
    await syncDir(this.#dir);
    this.#savedDone = done;
    while ((this.#segments[1]?.first ?? Infinity) <= done + 1) {
      const segment = this.#segments.shift();
      if (segment !== undefined) await unlessMissing(unlink(segment.path));
    }
  }
}

const segmentPath = (dir: string, first: number): string => join(dir, `${String(first).padStart(15, '0')}.jsonl`);

/** All lines up to the first that isn't whole. */
function parseLines(text: string): readonly Waiting[] {
  const found: Waiting[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const waiting = parseLine(line);
    if (waiting === undefined) break;
    found.push(waiting);
  }
  return found;
}

function parseLine(line: string): Waiting | undefined {
  try {
    return JSON.parse(line) as Waiting;
  } catch {
    // Half of it, or NUL bytes, is what a crash of the machine leaves.
    return undefined;
  }
}
