import { refuse } from '../option-checks.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const TIMES: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
  w: 7 * DAY_MS,
};

const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

/** `90s`, `1h30m`, `30d`: whole milliseconds. */
export function parseTime(value: unknown, option: string): number {
  const parts = typeof value === 'string' ? [...value.matchAll(/(\d{1,15})(ms|[smhdw])/g)] : [];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== value) {
    return refuse(option, 'a time like 30s, 1h30m or 7d', value);
  }
  return parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (TIMES[unit] ?? 0), 0);
}

/** `10GB`, `512MiB`, `4096`: bytes. */
export function parseBytes(value: unknown, option: string): number {
  if (typeof value === 'number') return value;
  const [, amount, unit = 'b'] = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmgt]i?b|b)?$/i.exec(String(value)) ?? [];
  const factor = SIZES[unit.toLowerCase()];
  if (typeof value !== 'string' || amount === undefined || factor === undefined) {
    return refuse(option, 'a size like 10GB or 512MiB', value);
  }
  return Math.floor(Number(amount) * factor);
}
