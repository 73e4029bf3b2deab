import type { EscapeCharacter } from './directives.ts';
import type { LogicalLine } from './logical-lines.ts';
import { errorAt, wordAt } from './source.ts';
import { suggestion } from './spelling.ts';
import { endOfWord } from './words.ts';

/** How a flag of an instruction may be written. */
export type FlagKind = 'string' | 'boolean' | 'list';

/** The `--name=value` words at the front of an instruction, checked against the names that it knows. */
export interface Flags {
  readonly string: (name: string) => string | undefined;
  /** undefined when the flag is not there. */
  readonly boolean: (name: string) => boolean | undefined;
  readonly list: (name: string) => readonly string[];
  /** The line behind the flags. */
  readonly rest: string;
}

/**
 * Takes the flags off the front of an instruction's arguments.
 *
 * @throws {@link BuilderError} `BUILDER_SYNTAX`: a flag that the instruction doesn't have, one twice, or a bad value
 */
export function parseFlags(
  line: LogicalLine,
  known: Readonly<Record<string, FlagKind>>,
  escape: EscapeCharacter,
): Flags {
  const values = new Map<string, string[]>();
  const { words, rest } = flagWords(line.rest, escape);
  for (const word of words) {
    const { name, value } = checkFlag(line, word, known);
    const before = values.get(name) ?? [];
    if (before.length > 0 && known[name] !== 'list') {
      throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', `flag --${name} is given twice`);
    }
    values.set(name, [...before, value]);
  }
  return {
    string: (name) => values.get(name)?.[0],
    boolean: (name) => (values.has(name) ? values.get(name)?.[0] === 'true' : undefined),
    list: (name) => values.get(name) ?? [],
    rest,
  };
}

function flagWords(
  text: string,
  escape: EscapeCharacter,
): { readonly words: readonly string[]; readonly rest: string } {
  const words: string[] = [];
  let rest = text;
  while (rest.startsWith('--')) {
    const end = endOfWord(rest, 0, escape);
    const word = rest.slice(0, end);
    rest = rest.slice(end).trimStart();
    if (word === '--') break;
    words.push(withoutQuotes(word));
  }
  return { words, rest };
}

/** `--mount="type=cache,target=/x"`: quotes around a part of the word are the shell's, not the value's. */
function withoutQuotes(word: string): string {
  const equals = word.indexOf('=');
  const value = word.slice(equals + 1);
  const quote = value[0] ?? '';
  const quoted = equals > 0 && value.length > 1 && (quote === '"' || quote === "'") && value.endsWith(quote);
  return quoted ? `${word.slice(0, equals + 1)}${value.slice(1, -1)}` : word;
}

function checkFlag(
  line: LogicalLine,
  word: string,
  known: Readonly<Record<string, FlagKind>>,
): { readonly name: string; readonly value: string } {
  const equals = word.indexOf('=');
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const kind = Object.hasOwn(known, name) ? known[name] : undefined;
  if (kind === undefined) {
    const hint = suggestion(name, Object.keys(known));
    throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', `${line.keyword.toUpperCase()} has no flag --${name}${hint}`);
  }
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  if (kind === 'boolean') {
    const lower = (value ?? 'true').toLowerCase();
    if (lower === 'true' || lower === 'false') return { name, value: lower };
    throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', `flag --${name} takes true or false, not ${value ?? ''}`);
  }
  if (value === undefined)
    throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', `flag --${name} needs a value: --${name}=…`);
  return { name, value };
}
