import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import { peakOf, resetPeak } from '../images/peak-memory.ts';
import { Client } from './client.ts';
import type { Server } from './contenders.ts';
import type { Operation } from './rows.ts';
import { PUSHED } from './rows.ts';

export interface SliceOptions {
  readonly concurrency: number;
  /** How long requests are begun for. */
  readonly durationMs: number;
  readonly signal: AbortSignal;
}

/** What one server did in one slice of time. */
export interface Slice {
  readonly operations: number;
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
  readonly peakBytes: number;
  /** What the server's processors worked. */
  readonly cpuMs: number;
}

/** Processor time of a process since it began, of both kinds; the kernel counts in hundredths of a second. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** How often a large operation is done, at least: once by every client. */
const LARGE_COUNT = 3;

/** Drives one server with one kind of request, and forgets what it pushed. */
export async function runSlice(server: Server, operation: Operation, options: SliceOptions): Promise<Slice> {
  const { concurrency, durationMs, signal } = options;
  const clients: Client[] = [];
  const latenciesMs: number[] = [];
  const pushed: string[] = [];
  let rest = operation.isLarge ? Math.max(LARGE_COUNT, concurrency) : Infinity;
  try {
    for (let at = 0; at < concurrency; at += 1) clients.push(await Client.open(server.port));
    resetPeak(server.pid);
    const cpuBeforeMs = cpuMsOf(server.pid);
    const begin = performance.now();
    const end = operation.isLarge ? Infinity : begin + durationMs;
    await Promise.all(
      clients.map(async (client) => {
        for (let now = performance.now(); now < end && rest > 0;) {
          rest -= 1;
          const hex = await operation.act(client);
          const then = performance.now();
          latenciesMs.push(then - now);
          now = then;
          if (hex !== undefined) pushed.push(hex);
          signal.throwIfAborted();
        }
      }),
    );
    const elapsedMs = performance.now() - begin;
    return {
      operations: latenciesMs.length,
      elapsedMs,
      latenciesMs,
      peakBytes: peakOf(server.pid),
      cpuMs: cpuMsOf(server.pid) - cpuBeforeMs,
    };
  } finally {
    for (const client of clients) client[Symbol.dispose]();
    await turn();
    if (pushed.length > 0) server.forget(PUSHED, pushed);
  }
}
