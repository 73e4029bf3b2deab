import { formatGrid, median } from '../report.ts';
import type { Measurement } from '../rounds.ts';
import type { RowName } from './rows.ts';
import { COLUMNS, type Column, type Cost } from './transfer.ts';

/** A row with all that was measured of it, by column. */
export interface MeasuredRow {
  readonly name: RowName;
  readonly cells: ReadonlyMap<Column, Measurement & { readonly cost: Cost }>;
}

interface Goal {
  readonly row: RowName;
  readonly column: Column;
  /** Ours may take this part of the other's median at most. */
  readonly factor: number;
}

const OURS: Column = '@tsc/image';

/** What the project has promised. */
const goals: readonly Goal[] = [
  { row: 'unpack', column: 'GNU tar', factor: 1 },
  { row: 'pull', column: 'docker', factor: 1 },
  { row: 'pull', column: 'podman', factor: 1 },
  { row: 'pull', column: 'skopeo + umoci', factor: 1 },
  { row: 'push', column: 'docker', factor: 0.5 },
  { row: 'load', column: 'podman', factor: 1 },
];
const MOST_MEMORY_BYTES = 150_000_000;
const MOST_LOOP_DELAY_MS = 50;

const ms = (value: number): string => value.toFixed(0);
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);

const medianOf = ({ cells }: MeasuredRow, column: Column): number | undefined => {
  const samples = cells.get(column)?.samples ?? [];
  return samples.length === 0 ? undefined : median(samples);
};

function table(
  rows: readonly MeasuredRow[],
  title: string,
  cellOf: (row: MeasuredRow, column: Column) => string,
): string {
  const lines = rows.map((row) => [
    row.name,
    ...COLUMNS.map((column) => (medianOf(row, column) === undefined ? '-' : cellOf(row, column))),
  ]);
  return formatGrid([[title, ...COLUMNS], ...lines]);
}

export function formatTables(rows: readonly MeasuredRow[]): string {
  const samples = (row: MeasuredRow, column: Column): readonly number[] => row.cells.get(column)?.samples ?? [];
  return [
    table(rows, 'median ms', (row, column) => ms(medianOf(row, column) ?? NaN)),
    table(rows, 'min-max ms', (row, column) => {
      const all = samples(row, column);
      return `${ms(Math.min(...all))}-${ms(Math.max(...all))}`;
    }),
    table(rows, 'peak MB', (row, column) => megabytes(row.cells.get(column)?.cost.peakBytes ?? NaN)),
  ].join('\n\n');
}

/** Why cells are empty. */
export const formatFailures = (rows: readonly MeasuredRow[]): string =>
  rows
    .flatMap(({ name, cells }) =>
      [...cells].flatMap(([column, { failure }]) =>
        failure === undefined ? [] : [`${name}, ${column}: ${failure}\n`],
      ),
    )
    .join('');

const verdict = (holds: boolean, text: string): string => `${holds ? 'holds ' : 'FAILS '} ${text}`;

/** A line for each goal: whether it holds, and by how much. */
export function formatGoals(rows: readonly MeasuredRow[]): string {
  const against = goals.flatMap(({ row: name, column, factor }) => {
    const row = rows.find((each) => each.name === name);
    if (row === undefined) return [];
    const [own, other] = [medianOf(row, OURS), medianOf(row, column)];
    const says = `${name}: at most ${factor === 1 ? '' : `${factor} of `}${column}`;
    if (own === undefined || other === undefined) return [`?      ${says}: nothing to compare`];
    return [verdict(own <= factor * other, `${says}: ${ms(own)} of ${ms(factor * other)} ms`)];
  });
  const costs = rows.flatMap(({ name, cells }) => {
    const cost = cells.get(OURS)?.cost;
    if (cost === undefined || medianOf({ name, cells }, OURS) === undefined) return [];
    const { peakBytes, loopDelayMs = 0 } = cost;
    return [
      verdict(peakBytes <= MOST_MEMORY_BYTES, `${name}: at most 150 MB of memory: ${megabytes(peakBytes)} MB`),
      verdict(loopDelayMs <= MOST_LOOP_DELAY_MS, `${name}: event loop blocked at most 50 ms: ${ms(loopDelayMs)} ms`),
    ];
  });
  return [...against, ...costs].join('\n');
}
