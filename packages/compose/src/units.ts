const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1024],
  ['kb', 1024],
  ['m', 1024 ** 2],
  ['mb', 1024 ** 2],
  ['g', 1024 ** 3],
  ['gb', 1024 ** 3],
  ['t', 1024 ** 4],
  ['tb', 1024 ** 4],
]);

const TIME_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
]);

const isNumeric = (char: string): boolean => (char >= '0' && char <= '9') || char === '.';

/** Splits `1h30m` into numbers and units; undefined when they don't alternate. */
function measures(text: string): readonly (readonly [count: number, unit: string])[] | undefined {
  const found: (readonly [number, string])[] = [];
  let position = 0;
  while (position < text.length) {
    const start = position;
    while (position < text.length && isNumeric(text[position] ?? '')) position += 1;
    const unitStart = position;
    while (position < text.length && !isNumeric(text[position] ?? '')) position += 1;
    const count = Number(text.slice(start, unitStart));
    if (unitStart === start || Number.isNaN(count)) return undefined;
    found.push([count, text.slice(unitStart, position).trim().toLowerCase()]);
  }
  return found.length === 0 ? undefined : found;
}

/** Reads `64m`, `1.5gb`, `1048576` into bytes; undefined if it is no size. */
export function parseSizeBytes(text: string): number | undefined {
  const [measure, ...more] = measures(text.trim()) ?? [];
  const unit = measure === undefined || more.length > 0 ? undefined : SIZE_UNITS.get(measure[1]);
  const bytes = Math.floor((measure?.[0] ?? 0) * (unit ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Reads `1m30s` into milliseconds; undefined if it is no duration. */
export function parseDurationMs(text: string): number | undefined {
  if (text.trim() === '0') return 0;
  let total = 0;
  for (const [count, unit] of measures(text.trim()) ?? [[Number.NaN, ''] as const]) {
    total += count * (TIME_UNITS_MS.get(unit) ?? Number.NaN);
  }
  return Number.isNaN(total) ? undefined : total;
}

/** Splits a command as a shell splits words: quotes and backslashes, no variables. undefined for an open quote. */
export function splitShellWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index] ?? '';
    if (char === '\\' && quote !== "'") {
      const next = text[(index += 1)] ?? '';
      word = (word ?? '') + (quote === '"' && next !== '"' && next !== '\\' ? `\\${next}` : next);
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") [quote, word] = [char, word ?? ''];
    else if (char.trim() !== '') word = (word ?? '') + char;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== '') return undefined;
  return word === undefined ? words : [...words, word];
}
