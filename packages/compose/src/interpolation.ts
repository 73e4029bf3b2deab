import { ComposeError } from './errors.ts';

/** `${a:-${b:-…}}` may nest this deep. */
const MAX_DEPTH = 50;
const MAX_CHARACTERS = 1024 * 1024;

/** The variables that are set; a set variable may be empty. */
export type Environment = ReadonlyMap<string, string>;

export interface InterpolateOptions {
  /** Told the name of each variable that is not set and has no default: it becomes empty, which deserves a warning. */
  readonly onUnset?: ((name: string) => void) | undefined;
}

interface Cursor {
  readonly text: string;
  readonly env: Environment;
  readonly onUnset: (name: string) => void;
  position: number;
  depth: number;
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

/**
 * Puts values in the place of variables, as a Compose file has them: `$v ${v} ${v:-x} ${v-x} ${v:?x} ${v?x} ${v:+x} ${v+x}`,
 * nested to any reasonable depth, and `$$` for a dollar. Values are not interpolated again.
 *
 * @throws {@link ComposeError} `COMPOSE_INTERPOLATION`: malformed, or a required variable is missing; `COMPOSE_LIMIT`
 * @see https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md
 * @example interpolate('${HOST:-localhost}:$PORT', new Map([['PORT', '80']])) // 'localhost:80'
 */
export function interpolate(text: string, env: Environment, { onUnset }: InterpolateOptions = {}): string {
  if (!text.includes('$')) return text;
  return read({ text, env, onUnset: onUnset ?? (() => undefined), position: 0, depth: 0 }, undefined);
}

const fail = ({ text }: Cursor, why: string): ComposeError => {
  const shown = text.length > 80 ? `${text.slice(0, 77)}…` : text;
  return new ComposeError('COMPOSE_INTERPOLATION', `cannot interpolate ${JSON.stringify(shown)}: ${why}`);
};

function read(cursor: Cursor, stop: '}' | undefined): string {
  const out: string[] = [];
  let length = 0;
  while (cursor.position < cursor.text.length) {
    const char = cursor.text[cursor.position] ?? '';
    if (char === stop) {
      cursor.position += 1;
      return out.join('');
    }
    const piece = char === '$' ? readDollar(cursor) : char;
    if (char !== '$') cursor.position += 1;
    length += piece.length;
    if (length > MAX_CHARACTERS) {
      throw new ComposeError('COMPOSE_LIMIT', `a value grows over ${String(MAX_CHARACTERS)} characters`);
    }
    out.push(piece);
  }
  if (stop === undefined) return out.join('');
  throw fail(cursor, 'missing }');
}

function readDollar(cursor: Cursor): string {
  const next = cursor.text[cursor.position + 1];
  if (next === '$') {
    cursor.position += 2;
    return '$';
  }
  if (next === '{') return readBraces(cursor);
  cursor.position += 1;
  const name = readName(cursor);
  if (name === '') throw fail(cursor, 'a $ needs a name behind it, or $$ for a dollar');
  return valueOrEmpty(cursor, name);
}

function readBraces(cursor: Cursor): string {
  cursor.depth += 1;
  if (cursor.depth > MAX_DEPTH) {
    throw new ComposeError('COMPOSE_LIMIT', `variables nest over ${String(MAX_DEPTH)} deep`);
  }
  cursor.position += 2;
  const name = readName(cursor);
  if (name === '') throw fail(cursor, '${ needs a name');
  const colon = cursor.text[cursor.position] === ':';
  const operator = cursor.text[cursor.position + (colon ? 1 : 0)] ?? '';
  cursor.position += colon ? 2 : 1;
  const value =
    operator === '}' && !colon ? valueOrEmpty(cursor, name) : readModified(cursor, { name, operator, colon });
  cursor.depth -= 1;
  return value;
}

function readModified(
  cursor: Cursor,
  { name, operator, colon }: { readonly name: string; readonly operator: string; readonly colon: boolean },
): string {
  if (operator === '') throw fail(cursor, 'missing }');
  if (operator !== '-' && operator !== '+' && operator !== '?') {
    throw fail(cursor, `there is no modifier ${colon ? ':' : ''}${operator}`);
  }
  const value = cursor.env.get(name);
  const present = value !== undefined && !(colon && value === '');
  // The other branch is read all the same, but asks for nothing: what is not used may lack its variables.
  const word = readWord(cursor, operator === '+' ? present : !present);
  if (operator === '+') return present ? word : '';
  if (present) return value;
  if (operator === '-') return word;
  const missing = value === undefined ? 'is not set' : 'is empty';
  throw fail(cursor, `required variable ${name} ${word === '' ? missing : `${missing}: ${word}`}`);
}

function readWord(cursor: Cursor, used: boolean): string {
  if (used) return read(cursor, '}');
  skipWord(cursor);
  return '';
}

/** Finds the brace that closes a word which is not needed. */
function skipWord(cursor: Cursor): void {
  let open = 1;
  while (cursor.position < cursor.text.length) {
    const two = cursor.text.slice(cursor.position, cursor.position + 2);
    if (two === '$$' || two === '${') {
      if (two === '${') open += 1;
      cursor.position += 2;
    } else {
      cursor.position += 1;
      if (two.startsWith('}')) open -= 1;
      if (open === 0) return;
    }
  }
  throw fail(cursor, 'missing }');
}

function readName(cursor: Cursor): string {
  NAME.lastIndex = cursor.position;
  const name = NAME.exec(cursor.text)?.[0] ?? '';
  cursor.position += name.length;
  return name;
}

function valueOrEmpty(cursor: Cursor, name: string): string {
  const value = cursor.env.get(name);
  if (value === undefined) cursor.onUnset(name);
  return value ?? '';
}
