import { formatGrid, median } from '../report.ts';
import type { Slice } from './load.ts';

/** All slices of one operation at one concurrency, by server. */
export interface Row {
  readonly name: string;
  readonly concurrency: number;
  readonly sizeBytes: number | undefined;
  readonly slices: ReadonlyMap<string, readonly Slice[]>;
}

/** What a row says of one server. */
export interface Figures {
  /** Operations in a second: the median of the slices. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly peakBytes: number;
  /** The server's processor time for one operation. */
  readonly cpuMs: number;
}

const MB = 1024 * 1024;

function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

export function figuresOf(slices: readonly Slice[]): Figures {
  const latencies = slices.flatMap(({ latenciesMs }) => latenciesMs);
  return {
    rate: median(slices.map(({ operations, elapsedMs }) => (operations / elapsedMs) * 1000)),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    peakBytes: median(slices.map(({ peakBytes }) => peakBytes)),
    cpuMs: median(slices.map(({ cpuMs, operations }) => cpuMs / operations)),
  };
}

/** Numbers that differ by less are called equal: the same program, timed twice, differs by that. */
const NOISE = 1.03;

const rateText = (rate: number, sizeBytes: number | undefined): string =>
  sizeBytes === undefined || sizeBytes < MB
    ? `${rate.toFixed(rate < 100 ? 1 : 0)}/s`
    : `${((rate * sizeBytes) / MB).toFixed(0)} MB/s`;

const cellsOf = ({ p50Ms, p99Ms, cpuMs, peakBytes }: Figures): readonly string[] => [
  p50Ms.toFixed(2),
  p99Ms.toFixed(2),
  cpuMs.toFixed(2),
  (peakBytes / MB).toFixed(0),
];

/** One row each for operation and concurrency; of each server its rate, latencies and peak memory, then who is ahead. */
export function formatRows(rows: readonly Row[], servers: readonly string[]): string {
  const titles = servers.flatMap((name) => [name, 'p50 ms', 'p99 ms', 'CPU ms', 'peak MB']);
  const cells = rows.map(({ name, concurrency, sizeBytes, slices }) => {
    const figures = servers.map((server) => figuresOf(slices.get(server) ?? []));
    const [ours, ...others] = figures.map(({ rate }) => rate);
    const verdict = ours === undefined || others.length === 0 ? '' : verdictOf(ours, Math.max(...others));
    return [
      `${name}, ${String(concurrency)}`,
      ...figures.flatMap((each) => [rateText(each.rate, sizeBytes), ...cellsOf(each)]),
      verdict,
    ];
  });
  return formatGrid([['', ...titles, 'ours'], ...cells]);
}

function verdictOf(ours: number, other: number): string {
  const times = ours / other;
  const word = times > NOISE ? 'ahead' : times * NOISE < 1 ? 'BEHIND' : 'equal';
  return `${word} ${times.toFixed(2)}`;
}

/** Each other server against the first: rows that are not won, and the geometric mean of all ratios. */
export function formatTotals(rows: readonly Row[], [ours = '', ...others]: readonly string[]): string {
  return others
    .map((other) => {
      const ratios = rows.map(({ name, concurrency, slices }) => ({
        row: `${name}, ${String(concurrency)}`,
        times: figuresOf(slices.get(ours) ?? []).rate / figuresOf(slices.get(other) ?? []).rate,
      }));
      const mean = Math.exp(ratios.reduce((sum, { times }) => sum + Math.log(times), 0) / ratios.length);
      const behind = ratios.filter(({ times }) => times * NOISE < 1).map(({ row }) => row);
      const rest = behind.length === 0 ? 'at least equal on every row' : `behind on: ${behind.join('; ')}`;
      return `${ours} / ${other}: ${mean.toFixed(2)} times the throughput in the geometric mean, ${rest}`;
    })
    .join('\n');
}
