import { CgroupError } from './errors.ts';
import type { CgroupLimits, CgroupMaximum } from './limits.ts';

interface Range {
  readonly min: number;
  readonly max?: number | undefined;
}

/** The refusal of a limit's value, named as the caller wrote it. */
export const invalidLimit = (name: string, value: unknown, expected: string): CgroupError =>
  new CgroupError('CGROUP_LIMIT_INVALID', `cannot set ${name} to ${JSON.stringify(value)}: must be ${expected}`);

/** The refusal of a limit that this version of cgroups has no file for. */
export const unsupportedLimit = (name: keyof CgroupLimits, why: string): CgroupError =>
  new CgroupError('CGROUP_LIMIT_UNSUPPORTED', `cannot set ${name}: ${why}`);

/** @throws {@link CgroupError} `CGROUP_LIMIT_INVALID` */
export function checkInteger(name: string, value: number, range: Range): number {
  const max = range.max ?? Number.MAX_SAFE_INTEGER;
  if (Number.isInteger(value) && value >= range.min && value <= max) return value;
  const expected = range.max === undefined ? `${String(range.min)} or more` : `${String(range.min)} to ${String(max)}`;
  throw invalidLimit(name, value, `an integer, ${expected}`);
}

/** A checked value, with -1 made `'max'`. */
export const checkMaximum = (name: string, value: CgroupMaximum, range: Range): CgroupMaximum =>
  value === 'max' || value === -1 ? 'max' : checkInteger(name, value, range);

/** v1 writes -1 where v2 writes `max`. */
export const formatMaximum = (value: CgroupMaximum, version: 1 | 2): string =>
  value === 'max' && version === 1 ? '-1' : String(value);

/** v1 has no word for unlimited memory but the largest page-aligned number, which differs with the page size. */
export const isUnlimited = (bytes: bigint): boolean => bytes >= 1n << 62n;
