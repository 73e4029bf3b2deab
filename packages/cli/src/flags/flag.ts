import { badValue } from '../errors.ts';

/** How one flag is written, shown and read. `T` is what a command gets for it. */
export interface Flag<T> {
  readonly short: string | undefined;
  /** Other long names, which the help doesn't show. */
  readonly aliases: readonly string[];
  /** The word for the value in the help: `string`, `list`, `bytes`; a switch has none. */
  readonly valueName: string | undefined;
  readonly help: string;
  readonly hidden: boolean;
  readonly initial: T;
  /** What the help shows as default, already quoted. */
  readonly shownDefault: string | undefined;
  /** What `--flag` means without a value; `undefined` when it needs one. */
  readonly impliedValue: string | undefined;
  /** Folds one occurrence into the value so far. (A method, so that flags of any type fit one record.) */
  accept(soFar: T, word: string): T;
}

/** Flags by their long name. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type FlagValues<F> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

interface Look {
  readonly short?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly valueName?: string | undefined;
  readonly hidden?: boolean | undefined;
  readonly shownDefault?: string | undefined;
}

const shape = <T>(help: string, look: Look, rest: Pick<Flag<T>, 'initial' | 'accept' | 'impliedValue'>): Flag<T> => ({
  help,
  short: look.short,
  aliases: look.aliases ?? [],
  valueName: look.valueName,
  hidden: look.hidden ?? false,
  shownDefault: look.shownDefault,
  ...rest,
});

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** A Go boolean: `true`, `1`, `t`, … */
export const parseBoolean = (word: string): boolean => {
  if (TRUE.has(word)) return true;
  if (FALSE.has(word)) return false;
  throw badValue(`"${word}" is not true or false`);
};

/** `--rm`, `--rm=false` */
export const toggle = (help: string, look: Look & { readonly initial?: boolean } = {}): Flag<boolean> =>
  shape(
    help,
    { ...look, shownDefault: look.initial === true ? 'true' : undefined },
    { initial: look.initial ?? false, impliedValue: 'true', accept: (_, word) => parseBoolean(word) },
  );

/** A value read by `parse`; the last one written wins. `undefined` when the flag isn't given. */
export const value = <T>(help: string, parse: (word: string) => T, look: Look = {}): Flag<T | undefined> =>
  shape<T | undefined>(
    help,
    { valueName: 'string', ...look },
    { initial: undefined, impliedValue: undefined, accept: (_, word) => parse(word) },
  );

/** A plain word. */
export const text = (help: string, look: Look = {}): Flag<string | undefined> => value(help, (word) => word, look);

/** A whole number, as Go reads it. */
export const integer = (help: string, look: Look = {}): Flag<number | undefined> =>
  value(help, parseInteger, { valueName: 'int', ...look });

/** May be given many times; every occurrence is read by `parse`. */
export const list = <T = string>(
  help: string,
  look: Look = {},
  parse: (word: string) => T = (word) => word as T,
): Flag<readonly T[]> =>
  shape<readonly T[]>(
    help,
    { valueName: 'list', ...look },
    { initial: [], impliedValue: undefined, accept: (soFar, word) => [...soFar, parse(word)] },
  );

export function parseInteger(word: string): number {
  const parsed = /^[+-]?(\d+|0x[\da-f]+)$/i.test(word) ? Number(word) : Number.NaN;
  if (!Number.isSafeInteger(parsed)) throw badValue(`"${word}" is not a whole number`);
  return parsed;
}
