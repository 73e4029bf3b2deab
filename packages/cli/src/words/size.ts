import { badValue } from '../errors.ts';

const EXPONENTS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** A size in bytes with binary units, as Docker reads `-m`: `64m`, `1.5g`, `512KiB`, `1024`. */
export function parseSize(word: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+) ?([kmgtp]?)(?:i?b)?$/i.exec(word);
  const bytes =
    match === null ? Number.NaN : Number(match[1]) * 1024 ** (EXPONENTS[(match[2] ?? '').toLowerCase()] ?? 0);
  if (!Number.isSafeInteger(Math.floor(bytes))) throw badValue(`invalid size: '${word}'`);
  return Math.floor(bytes);
}

/** A size, or `-1` for no limit. */
export const parseSizeOrUnlimited = (word: string): number => (word === '-1' ? -1 : parseSize(word));
