/** A value as Go's `fmt` prints it with `%v`. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Date) return value.toISOString();
  return showNested(value);
}

function showNested(value: unknown): string {
  if (value === undefined || value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(showNested).join(' ')}]`;
  if (typeof value !== 'object' || value instanceof Date) return show(value);
  const entries = sortedEntries(value).map(([key, entry]) => `${key}:${showNested(entry)}`);
  return `map[${entries.join(' ')}]`;
}

/** Go walks a map in the order of its keys. */
export const sortedEntries = (value: object): readonly (readonly [string, unknown])[] =>
  Object.entries(value)
    .filter(([, entry]) => typeof entry !== 'function')
    .sort(([a], [b]) => (a < b ? -1 : 1));

/** Go's `Printf`, for the verbs that make sense here: `%s %v %d %q %t %x %f %5.2f %%`. */
export function printf(format: string, ...operands: readonly unknown[]): string {
  let used = 0;
  const text = format.replace(/%([-+0 #]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g, (_, ...match: (string | undefined)[]) => {
    const [flags = '', width = '0', precision, verb = ''] = match;
    if (verb === '%') return '%';
    if (used >= operands.length) return `%!${verb}(MISSING)`;
    const shown = convert(operands[used++], verb, precision === undefined ? undefined : Number(precision));
    if (flags.includes('-')) return shown.padEnd(Number(width));
    return flags.includes('0') ? zeroPad(shown, Number(width)) : shown.padStart(Number(width));
  });
  if (used >= operands.length) return text;
  return `${text}%!(EXTRA ${operands
    .slice(used)
    .map((value) => `${goType(value)}=${show(value)}`)
    .join(', ')})`;
}

const zeroPad = (text: string, width: number): string =>
  text.startsWith('-') ? `-${text.slice(1).padStart(width - 1, '0')}` : text.padStart(width, '0');

function convert(value: unknown, verb: string, precision: number | undefined): string {
  const wrong = `%!${verb}(${goType(value)}=${show(value)})`;
  switch (verb) {
    case 'v':
    case 's': {
      const shown = show(value);
      return precision === undefined ? shown : Array.from(shown).slice(0, precision).join('');
    }
    case 'q':
      return JSON.stringify(show(value));
    case 't':
      return typeof value === 'boolean' ? String(value) : wrong;
    case 'd':
      return Number.isInteger(value) ? String(value) : wrong;
    case 'f':
      return typeof value === 'number' ? value.toFixed(precision ?? 6) : wrong;
    case 'x':
      if (typeof value === 'string') return Buffer.from(value).toString('hex');
      return typeof value === 'number' ? value.toString(16) : wrong;
    case 'T':
      return goType(value);
    default:
      return wrong;
  }
}

export function goType(value: unknown): string {
  if (value === undefined || value === null) return '<nil>';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  if (Array.isArray(value)) return '[]interface {}';
  return typeof value === 'object' ? 'map[string]interface {}' : typeof value;
}
