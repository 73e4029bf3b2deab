import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';

import { findProgram } from '../command.ts';
import type { Contender } from '../contender.ts';
import { watchPeak } from './peak-memory.ts';

export const COLUMNS = ['GNU tar', 'docker', 'podman', 'skopeo + umoci', '@tsc/image', 'tsc'] as const;
export type Column = (typeof COLUMNS)[number];

/** One way to do what a row of the table says. What it costs besides time is the most of all its runs. */
export interface Transfer extends Contender {
  readonly column: Column;
  readonly cost: Cost;
}

export interface Cost {
  peakBytes: number;
  /** The longest that the event loop didn't turn, where there is one to watch. */
  loopDelayMs: number | undefined;
}

/** A row of the table, all of whose transfers are timed in turn. Disposing stops what was started for it. */
export interface Row extends AsyncDisposable {
  readonly title: string;
  readonly transfers: readonly Transfer[];
}

export const noCost = (): Cost => ({ peakBytes: 0, loopDelayMs: undefined });

export interface CommandTransfer {
  readonly column: Column;
  /** Run one after the other, program first. */
  readonly commands: readonly (readonly string[])[];
  /** Removes what the commands have made, untimed. */
  readonly reset: () => void;
  /** The server that does the work for the commands. */
  readonly serverPid?: number | undefined;
}

export function commandTransfer({ column, commands, reset, serverPid }: CommandTransfer): Transfer {
  const cost = noCost();
  return {
    name: column,
    column,
    cost,
    start: async () => {
      using server = serverPid === undefined ? undefined : watchPeak(serverPid);
      for (const command of commands) {
        const peakBytes = await runWatched(command);
        if (server === undefined) cost.peakBytes = Math.max(cost.peakBytes, peakBytes);
      }
      if (server !== undefined) cost.peakBytes = Math.max(cost.peakBytes, server.bytes());
    },
    settle: () => {
      reset();
      return Promise.resolve();
    },
  };
}

async function runWatched([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  using peak = watchPeak(child.pid ?? 0);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${basename(program)} ${args[0] ?? ''}: exit code ${code}: ${said.trim()}`);
  return peak.bytes();
}

/** Debian's own program where another of its name comes earlier in `PATH`. */
export const debianProgram = (name: string): string | undefined =>
  existsSync(`/usr/bin/${name}`) ? `/usr/bin/${name}` : findProgram(name);
