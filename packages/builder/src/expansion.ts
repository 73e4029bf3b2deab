import type { EscapeCharacter } from './directives.ts';
import { BuilderError } from './errors.ts';
import { parseShellPattern, replaceMatches, trimPrefix, trimSuffix } from './shell-pattern.ts';
import type { ShellPattern } from './shell-pattern.ts';

/** What a word is expanded with. */
export interface ExpansionScope {
  /** The variables that are set; a set variable may be empty. */
  readonly variables: ReadonlyMap<string, string>;
  /** `\` unless the Dockerfile's `# escape=` says otherwise. */
  readonly escape?: EscapeCharacter | undefined;
  /** `'remove'` (words) takes quotes off and honours them; `'keep'` (here-documents) treats them as text. */
  readonly quotes?: 'remove' | 'keep' | undefined;
}

/** `${a:-${b:-…}}` may nest this deep. */
const MAX_DEPTH = 100;
/** Characters of one expanded word: an ENV that doubles itself on every line stops here. */
const MAX_CHARACTERS = 1024 * 1024;
/** Pattern characters × value characters. */
const MAX_PATTERN_WORK = 16 * 1024 * 1024;

/**
 * Expands the variables of one word and takes off its quotes: `$v ${v} ${v:-x} ${v-x} ${v:+x} ${v+x} ${v:?x} ${v?x}
 * ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} ${v//p/r}`. A variable that is not set is empty. Bounded in time and size.
 *
 * @throws {@link BuilderError} `BUILDER_EXPANSION`: bad substitution, an open quote, or a required variable;
 *   `BUILDER_LIMIT`: nested or grown beyond reason
 * @example expandWord('${name:-world}', { variables: new Map() }) // 'world'
 */
export const expandWord = (word: string, scope: ExpansionScope): string => expand(word, scope).text;

/**
 * The same, split at the white space that unquoted variables bring in: `EXPOSE $PORTS`.
 *
 * @throws {@link BuilderError} as {@link expandWord}
 */
export const expandWords = (word: string, scope: ExpansionScope): readonly string[] => expand(word, scope).words;

/** The variables that an expansion asked for and did not find. */
export const unsetVariables = (word: string, scope: ExpansionScope): ReadonlySet<string> => expand(word, scope).unset;

interface Expanded {
  readonly text: string;
  readonly words: readonly string[];
  readonly unset: ReadonlySet<string>;
}

interface Cursor {
  readonly input: string;
  readonly scope: ExpansionScope;
  readonly escape: string;
  readonly unset: Set<string>;
  position: number;
  depth: number;
}

function expand(word: string, scope: ExpansionScope): Expanded {
  const unset = new Set<string>();
  const cursor: Cursor = { input: word, scope, escape: scope.escape ?? '\\', unset, position: 0, depth: 0 };
  const pieces = readUntil(cursor, { stop: undefined, rawEscapes: false });
  const text = joinPieces(pieces);
  return { text, words: splitPieces(pieces), unset };
}

/** Text of a word; only what came from an unquoted variable is split at white space. */
interface Piece {
  readonly text: string;
  readonly splits: boolean;
}

interface Stop {
  readonly stop: '}' | '/' | undefined;
  /** Keeps backslashes: a pattern's own escapes are read by the pattern. */
  readonly rawEscapes: boolean;
}

const fail = (cursor: Cursor, why: string): BuilderError =>
  new BuilderError('BUILDER_EXPANSION', `cannot expand ${shorten(cursor.input)}: ${why}`);

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text);

function readUntil(cursor: Cursor, { stop, rawEscapes }: Stop): readonly Piece[] {
  const pieces: Piece[] = [];
  let length = 0;
  const push = (text: string, splits: boolean): void => {
    length += text.length;
    if (length > MAX_CHARACTERS) {
      throw new BuilderError(
        'BUILDER_LIMIT',
        `cannot expand ${shorten(cursor.input)}: over ${MAX_CHARACTERS} characters`,
      );
    }
    pieces.push({ text, splits });
  };
  while (cursor.position < cursor.input.length) {
    const char = cursor.input[cursor.position] ?? '';
    if (char === stop) {
      cursor.position += 1;
      return pieces;
    }
    const keepsQuotes = cursor.scope.quotes === 'keep';
    if (char === '$') push(readDollar(cursor), true);
    else if (char === "'" && !keepsQuotes) push(readSingleQuoted(cursor), false);
    else if (char === '"' && !keepsQuotes) push(readDoubleQuoted(cursor, rawEscapes), false);
    else if (char === cursor.escape) push(readEscaped(cursor, rawEscapes), false);
    else {
      cursor.position += 1;
      push(char, true);
    }
  }
  if (stop !== undefined) throw fail(cursor, `missing ${stop}`);
  return pieces;
}

function readEscaped(cursor: Cursor, rawEscapes: boolean): string {
  const next = cursor.input[cursor.position + 1] ?? '';
  cursor.position += 2;
  return rawEscapes ? cursor.escape + next : next;
}

function readSingleQuoted(cursor: Cursor): string {
  const end = cursor.input.indexOf("'", cursor.position + 1);
  if (end < 0) throw fail(cursor, "missing '");
  const text = cursor.input.slice(cursor.position + 1, end);
  cursor.position = end + 1;
  return text;
}

/** Inside double quotes the escape character escapes only `"`, `$` and itself. */
function readDoubleQuoted(cursor: Cursor, rawEscapes: boolean): string {
  const out: string[] = [];
  cursor.position += 1;
  while (cursor.position < cursor.input.length) {
    const char = cursor.input[cursor.position] ?? '';
    const next = cursor.input[cursor.position + 1] ?? '';
    if (char === '"') {
      cursor.position += 1;
      return out.join('');
    }
    if (char === '$') out.push(readDollar(cursor));
    else if (char === cursor.escape && (next === '"' || next === '$' || next === cursor.escape)) {
      out.push(rawEscapes ? char + next : next);
      cursor.position += 2;
    } else {
      out.push(char);
      cursor.position += 1;
    }
  }
  throw fail(cursor, 'missing "');
}

function readDollar(cursor: Cursor): string {
  cursor.position += 1;
  if (cursor.input[cursor.position] !== '{') {
    const name = readName(cursor);
    return name === '' ? '$' : (lookup(cursor, name) ?? '');
  }
  cursor.position += 1;
  cursor.depth += 1;
  if (cursor.depth > MAX_DEPTH) {
    throw new BuilderError('BUILDER_LIMIT', `cannot expand ${shorten(cursor.input)}: nested over ${MAX_DEPTH} deep`);
  }
  const value = readBraces(cursor);
  cursor.depth -= 1;
  return value;
}

function readBraces(cursor: Cursor): string {
  const name = readName(cursor);
  if (name === '') throw fail(cursor, 'bad substitution, ${ needs a name');
  const colon = cursor.input[cursor.position] === ':';
  if (colon) cursor.position += 1;
  const operator = cursor.input[cursor.position] ?? '';
  cursor.position += 1;
  if (operator === '}' && !colon) return lookup(cursor, name) ?? '';
  if (operator === '-' || operator === '+' || operator === '?') return readDefault(cursor, { name, operator, colon });
  if (operator === '#' && !colon) return readTrim(cursor, name, '#');
  if (operator === '%' && !colon) return readTrim(cursor, name, '%');
  if (operator === '/' && !colon) return readReplace(cursor, name);
  if (operator === '') throw fail(cursor, 'missing }');
  throw fail(cursor, `there is no modifier ${colon ? ':' : ''}${operator}`);
}

function readDefault(
  cursor: Cursor,
  { name, operator, colon }: { readonly name: string; readonly operator: '-' | '+' | '?'; readonly colon: boolean },
): string {
  const word = joinPieces(readUntil(cursor, { stop: '}', rawEscapes: false }));
  const value = lookup(cursor, name);
  const present = value !== undefined && !(colon && value === '');
  if (operator === '+') return present ? word : '';
  if (present) return value;
  if (operator === '-') return word;
  const missing = value === undefined ? 'is not set' : 'is empty';
  throw fail(cursor, `${name}: ${word === '' ? missing : word}`);
}

function readTrim(cursor: Cursor, name: string, operator: '#' | '%'): string {
  const longest = cursor.input[cursor.position] === operator;
  if (longest) cursor.position += 1;
  const text = joinPieces(readUntil(cursor, { stop: '}', rawEscapes: true }));
  const value = lookup(cursor, name) ?? '';
  const pattern = readPattern(cursor, text, value);
  return operator === '#' ? trimPrefix(pattern, value, longest) : trimSuffix(pattern, value, longest);
}

function readReplace(cursor: Cursor, name: string): string {
  const all = cursor.input[cursor.position] === '/';
  if (all) cursor.position += 1;
  const text = joinPieces(readUntil(cursor, { stop: '/', rawEscapes: true }));
  const replacement = joinPieces(readUntil(cursor, { stop: '}', rawEscapes: true }));
  const value = lookup(cursor, name);
  if (value === undefined) return '';
  return replaceMatches(readPattern(cursor, text, value), value, { replacement, all });
}

function readPattern(cursor: Cursor, text: string, value: string): ShellPattern {
  if (text.length * value.length > MAX_PATTERN_WORK) {
    throw new BuilderError('BUILDER_LIMIT', `cannot expand ${shorten(cursor.input)}: pattern and value are too long`);
  }
  const pattern = parseShellPattern(text);
  if (pattern === undefined) throw fail(cursor, `invalid escape in the pattern ${text}`);
  return pattern;
}

function lookup(cursor: Cursor, name: string): string | undefined {
  const value = cursor.scope.variables.get(name);
  if (value === undefined) cursor.unset.add(name);
  return value;
}

const SPECIAL_PARAMETERS = '@*#?-$!';
const DIGITS = /\d+/y;
const NAME = /[\p{L}_][\p{L}\p{Nd}_]*/uy;

/** A name, the digits of a positional parameter, or one special character; empty if there is none of them. */
function readName(cursor: Cursor): string {
  const first = cursor.input[cursor.position] ?? '';
  if (first !== '' && SPECIAL_PARAMETERS.includes(first)) {
    cursor.position += 1;
    return first;
  }
  for (const pattern of [DIGITS, NAME]) {
    pattern.lastIndex = cursor.position;
    const name = pattern.exec(cursor.input)?.[0];
    if (name !== undefined) {
      cursor.position += name.length;
      return name;
    }
  }
  return '';
}

const joinPieces = (pieces: readonly Piece[]): string => pieces.map((piece) => piece.text).join('');

function splitPieces(pieces: readonly Piece[]): readonly string[] {
  const words: string[] = [];
  let word = '';
  for (const { text, splits } of pieces) {
    if (!splits) word += text;
    else {
      const [first = '', ...rest] = text.split(/\s/);
      word += first;
      for (const part of rest) {
        if (word !== '') words.push(word);
        word = part;
      }
    }
  }
  return word === '' ? words : [...words, word];
}
