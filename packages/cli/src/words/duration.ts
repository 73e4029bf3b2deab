import { badValue } from '../errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A Go duration in milliseconds: `10s`, `1h30m`, `1.5h`, `-2m`, `0`. */
export function parseDuration(word: string): number {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(word);
  if (/^[+-]?0$/.test(word)) return 0;
  if (match === null) throw badValue(`invalid duration "${word}"`);
  let milliseconds = 0;
  for (const [, amount, unit] of (match[2] ?? '').matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    milliseconds += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  return match[1] === '-' ? -milliseconds : milliseconds;
}
