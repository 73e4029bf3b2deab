import { goType, printf, show } from './printing.ts';

/** Told by a function; the evaluator adds where it was. */
export const wrongCall = (message: string): Error => Object.assign(new Error(message), { code: 'TEMPLATE_WRONG_CALL' });

type TemplateFunction = (...operands: readonly unknown[]) => unknown;
export type TemplateFunctions = ReadonlyMap<string, TemplateFunction>;

/** The functions of Go's text/template and those that Docker adds. `and` and `or` are the evaluator's own. */
export const functions: TemplateFunctions = new Map<string, TemplateFunction>([
  ['json', (value) => JSON.stringify(value ?? null)],
  ['join', (values, separator) => array(values, 'join').map(show).join(word(separator, 'join'))],
  ['split', (text, separator) => word(text, 'split').split(word(separator, 'split'))],
  ['lower', (text) => word(text, 'lower').toLowerCase()],
  ['upper', (text) => word(text, 'upper').toUpperCase()],
  ['title', (text) => word(text, 'title').replace(/(?<![\p{L}\d_'])\p{L}/gu, (letter) => letter.toUpperCase())],
  ['pad', pad],
  ['truncate', (text, length) => Array.from(word(text, 'truncate')).slice(0, count(length, 'truncate')).join('')],
  ['print', print],
  ['println', (...values) => `${values.map(show).join(' ')}\n`],
  ['printf', (format, ...operands) => printf(word(format, 'printf'), ...operands)],
  ['len', length],
  ['index', (of, ...keys) => keys.reduce(indexOne, of)],
  ['slice', (of, ...bounds) => slice(of, bounds)],
  ['not', (value) => !truth(value)],
  ['eq', (first, ...others) => others.some((other) => equal(first, other))],
  ['ne', (a, b) => !equal(a, b)],
  ['lt', (a, b) => compare(a, b) < 0],
  ['le', (a, b) => compare(a, b) <= 0],
  ['gt', (a, b) => compare(a, b) > 0],
  ['ge', (a, b) => compare(a, b) >= 0],
]);

/** What Go's `if` takes for true: everything but false, zero, nil and what is empty. */
export function truth(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) return Object.keys(value).length > 0;
  return Boolean(value);
}

function word(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw wrongCall(`error calling ${name}: wrong type for value; expected string; got ${goType(value)}`);
}

function count(value: unknown, name: string): number {
  if (Number.isInteger(value)) return value as number;
  throw wrongCall(`error calling ${name}: wrong type for value; expected int; got ${goType(value)}`);
}

function array(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value === null || value === undefined) return [];
  throw wrongCall(`error calling ${name}: wrong type for value; expected []string; got ${goType(value)}`);
}

function pad(text: unknown, prefix: unknown, suffix: unknown): string {
  const padded = word(text, 'pad');
  return padded === '' ? '' : ' '.repeat(count(prefix, 'pad')) + padded + ' '.repeat(count(suffix, 'pad'));
}

/** Go puts a space between operands when neither is a string. */
function print(...values: readonly unknown[]): string {
  return values.reduce<string>((text, value, i) => {
    const gap = i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string' ? ' ' : '';
    return text + gap + show(value);
  }, '');
}

function length(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw wrongCall(`error calling len: len of type ${goType(value)}`);
}

function indexOne(of: unknown, key: unknown): unknown {
  if (Array.isArray(of)) {
    const at = count(key, 'index');
    if (at < 0 || at >= of.length) throw wrongCall(`error calling index: index out of range: ${at}`);
    return of[at];
  }
  if (typeof of === 'object' && of !== null) {
    const name = word(key, 'index');
    // A missing key gives the zero value, which for the maps that people index (labels) is the empty string.
    return Object.hasOwn(of, name) ? (of as Readonly<Record<string, unknown>>)[name] : '';
  }
  if (typeof of === 'string' && of !== '') return Buffer.from(of)[count(key, 'index')];
  throw wrongCall(
    of === null || of === undefined
      ? 'error calling index: index of untyped nil'
      : `error calling index: can't index item of type ${goType(of)}`,
  );
}

function slice(of: unknown, bounds: readonly unknown[]): unknown {
  const [from = 0, to = length(of)] = bounds.map((bound) => count(bound, 'slice'));
  if (from < 0 || to < from || to > length(of)) throw wrongCall('error calling slice: index out of range');
  return typeof of === 'string' ? Buffer.from(of).subarray(from, to).toString() : array(of, 'slice').slice(from, to);
}

function equal(a: unknown, b: unknown): boolean {
  const known = a !== null && a !== undefined && b !== null && b !== undefined;
  if (known && typeof a !== typeof b) throw wrongCall('error calling eq: incompatible types for comparison');
  return a === b || (!known && (a ?? null) === (b ?? null));
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw wrongCall('error calling comparison: incompatible types for comparison');
}
