import { RegistryConfigError } from './errors.ts';

/** Takes a value that came from a file, and gives it back as what it must be. `option` is how it is called there. */
export type Check<T> = (value: unknown, option: string) => T;

const shown = (value: unknown): string => (JSON.stringify(value) as string | undefined)?.slice(0, 60) ?? typeof value;

export function refuse(option: string, want: string, value: unknown): never {
  throw new RegistryConfigError('CONFIG_INVALID', `${option}: want ${want}, not ${shown(value)}`, { option });
}

export const text: Check<string> = (value, option) =>
  typeof value === 'string' && value !== '' ? value : refuse(option, 'a text', value);

/** Also an empty one. */
export const anyText: Check<string> = (value, option) =>
  typeof value === 'string' ? value : refuse(option, 'a text', value);

/** What goes into a quoted string of a header as it is. */
export const token: Check<string> = (value, option) =>
  typeof value === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(value)
    ? value
    : refuse(option, 'printable ASCII without spaces, quotes and backslashes', value);

export const flag: Check<boolean> = (value, option) =>
  typeof value === 'boolean' ? value : refuse(option, 'true or false', value);

export const atLeast =
  (min: number): Check<number> =>
  (value, option) =>
    Number.isSafeInteger(value) && (value as number) >= min
      ? (value as number)
      : refuse(option, `an integer of at least ${String(min)}`, value);

export const oneOf =
  <T extends string>(...words: readonly T[]): Check<T> =>
  (value, option) =>
    words.find((word) => word === value) ?? refuse(option, words.join(' or '), value);

export const listOf =
  <T>(check: Check<T>): Check<readonly T[]> =>
  (value, option) =>
    Array.isArray(value)
      ? value.map((entry, index) => check(entry, `${option}[${String(index)}]`))
      : refuse(option, 'a list', value);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const mapOf =
  <T>(check: Check<T>): Check<Readonly<Record<string, T>>> =>
  (value, option) =>
    isRecord(value)
      ? Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, check(entry, `${option}.${key}`)]))
      : refuse(option, 'a map', value);

/** Fields by name; `optional` are those that may be left out. A name that isn't there is a mistake in writing. */
export const fieldsOf =
  <T extends object>(checks: { readonly [K in keyof T]-?: Check<unknown> }, optional: readonly (keyof T)[]): Check<T> =>
  (value, option) => {
    if (!isRecord(value)) return refuse(option, 'a map', value);
    const known = Object.keys(checks);
    const stranger = Object.keys(value).find((key) => !known.includes(key));
    if (stranger !== undefined) refuse(`${option}.${stranger}`, `one of ${known.join(', ')}`, stranger);
    const entries = (Object.entries(checks) as [keyof T & string, Check<unknown>][]).flatMap(([key, check]) => {
      const field: unknown = value[key];
      if (field === undefined && optional.includes(key)) return [];
      return [[key, check(field, `${option}.${key}`)]];
    });
    return Object.fromEntries(entries) as T;
  };

/** A URL whose host can't be overheard on the way: https, or on loopback. */
export const safeUrl: Check<string> = (value, option) => {
  const url = URL.parse(text(value, option));
  const plain = url?.username === '' && url.password === '' && url.hash === '' && url.search === '';
  if (plain && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname)))) {
    return token(value, option);
  }
  return refuse(option, 'an https URL', value);
};

/** Whether a URL's host is this machine. */
export const isLoopbackHost = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
