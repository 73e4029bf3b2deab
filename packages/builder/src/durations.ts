const UNIT_NS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);

/** Reads a duration as Go writes it (`1h2m3.5s`, `0`) into nanoseconds, the unit of image configs; undefined if it is none. */
export function parseDurationNs(text: string): number | undefined {
  if (text === '0') return 0;
  let total = 0;
  let position = 0;
  while (position < text.length) {
    const numberEnd = skipWhile(text, position, (char) => (char >= '0' && char <= '9') || char === '.');
    const unitEnd = skipWhile(text, numberEnd, (char) => !(char >= '0' && char <= '9') && char !== '.');
    const number = text.slice(position, numberEnd);
    const unit = UNIT_NS.get(text.slice(numberEnd, unitEnd));
    if (unit === undefined || number === '' || Number.isNaN(Number(number))) return undefined;
    total += Number(number) * unit;
    position = unitEnd;
  }
  return text === '' || !Number.isSafeInteger(Math.round(total)) ? undefined : Math.round(total);
}

function skipWhile(text: string, start: number, accept: (char: string) => boolean): number {
  let end = start;
  while (end < text.length && accept(text[end] ?? '')) end += 1;
  return end;
}
