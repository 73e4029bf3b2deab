import { formatItem } from './item.ts';
import type { ProgressItem } from './item.ts';

/** The size of a terminal, in characters. */
export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The lines that show items on a terminal. They are fewer than its rows, or else the first of them would scroll away and
 * couldn't be drawn over: items at work come before those that wait, those before finished ones, and a last line counts
 * the rest.
 */
export function composeFrame(items: readonly ProgressItem[], { columns, rows }: ScreenSize): readonly string[] {
  const room = Math.max(1, rows - 1);
  if (items.length <= room) return items.map((item) => formatItem(item, columns));
  const shown = new Set(items.toSorted((a, b) => urgency(a) - urgency(b)).slice(0, room - 1));
  const rest = items.filter((item) => !shown.has(item));
  const finished = rest.filter((item) => item.finished).length;
  const count = `... and ${rest.length} more: ${finished} finished, ${rest.length - finished} waiting`;
  return [...items.filter((item) => shown.has(item)).map((item) => formatItem(item, columns)), count.slice(0, columns)];
}

const urgency = ({ finished, bytes }: ProgressItem): number => (finished ? 2 : bytes === undefined ? 1 : 0);

/**
 * What to write to draw `next` over `previous`, which ends above the line that the cursor is on. `columns` is the width
 * of now: a terminal that has become narrower has folded what was drawn before.
 */
export function redraw(previous: readonly string[], next: readonly string[], columns: number): string {
  const above = previous.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / Math.max(1, columns))), 0);
  const up = above === 0 ? '\r' : `\r\u001b[${above}A`;
  return `${up}${next.map((line) => `\u001b[2K${line}\n`).join('')}\u001b[J`;
}
