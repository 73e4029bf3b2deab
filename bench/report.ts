import { CROWD } from './in-process.ts';
import type { Measurement } from './rounds.ts';

interface Goal {
  readonly row: string;
  readonly says: string;
  /** The most that the row's median may be, in milliseconds. */
  readonly limit: (median: (name: string) => number | undefined) => number | undefined;
}

const timesMedianOf =
  (factor: number, name: string): Goal['limit'] =>
  (median) => {
    const other = median(name);
    return other === undefined ? undefined : factor * other;
  };

/** What the project has promised about its start-up. */
const goals: readonly Goal[] = [
  { row: 'engine.run, none', says: 'at most half of runc run', limit: timesMedianOf(0.5, 'runc run') },
  { row: 'engine.run, bridge', says: 'at most runc run', limit: timesMedianOf(1, 'runc run') },
  ...['none', 'bridge'].map((network) => ({
    row: `tsc run --rm, ${network}`,
    says: 'at most half of podman run',
    limit: timesMedianOf(0.5, `podman run --rm, ${network}`),
  })),
  ...['none', 'bridge'].map((network) => ({
    row: `${CROWD} engine.run at once, ${network}`,
    says: 'at most 400 ms',
    limit: () => 400,
  })),
];

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

const ms = (value: number): string => value.toFixed(1);
const ratio = (value: number, to: number | undefined): string => (to === undefined ? '-' : (value / to).toFixed(2));

function medianOf(rows: readonly Measurement[]): (name: string) => number | undefined {
  return (name) => {
    const samples = rows.find((row) => row.name === name)?.samples ?? [];
    return samples.length === 0 ? undefined : median(samples);
  };
}

const MIN_WIDTH = 3;

const widest = (table: readonly (readonly string[])[], column: number): number =>
  Math.max(MIN_WIDTH, ...table.map((row) => row[column]?.length ?? 0));

/** Names to the left, numbers to the right. */
const padTo =
  (widths: readonly number[]) =>
  (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);

/** A Markdown table, the first row its head. */
export function formatGrid(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_title, column) => widest(cells, column));
  const line = (row: readonly string[]): string => `| ${row.map(padTo(widths)).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const [header = [], ...rows] = cells;
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** A Markdown table of all rows: milliseconds, and medians as a part of runc's and of podman's on the same network. */
export function formatTable(rows: readonly Measurement[]): string {
  const of = medianOf(rows);
  const cells = rows.map(({ name, samples, failure }) => {
    if (failure !== undefined) return [name, '-', '-', '-', '-', '-'];
    const middle = median(samples);
    const podman = of(`podman run --rm, ${name.endsWith('bridge') ? 'bridge' : 'none'}`);
    const range = [Math.min(...samples), middle, Math.max(...samples)].map(ms);
    return [name, ...range, ratio(middle, of('runc run')), ratio(middle, podman)];
  });
  return formatGrid([['', 'min ms', 'median', 'max', '/ runc', '/ podman'], ...cells]);
}

/** Why rows are empty. */
export const formatFailures = (rows: readonly Measurement[]): string =>
  rows.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${name}: ${failure}\n`])).join('');

/** A line for each goal: whether it holds, and by how much. */
export function formatGoals(rows: readonly Measurement[]): string {
  const of = medianOf(rows);
  return goals
    .map(({ row, says, limit }) => {
      const [own, most] = [of(row), limit(of)];
      if (own === undefined || most === undefined) return `?      ${row}: ${says}: nothing to compare`;
      return `${own <= most ? 'holds ' : 'FAILS '} ${row}: ${says}: ${ms(own)} of ${ms(most)} ms`;
    })
    .join('\n');
}
