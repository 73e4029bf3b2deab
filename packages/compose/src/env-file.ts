import { ComposeError } from './errors.ts';
import { interpolate } from './interpolation.ts';
import type { Environment } from './interpolation.ts';

export interface EnvFileOptions {
  /** The name that errors begin with; `.env` unless told. */
  readonly file?: string | undefined;
  /** What values may refer to, besides the lines before them: the caller's own environment wins over the file. */
  readonly env?: Environment | undefined;
  /** `'raw'` takes every value as it stands, without quotes, comments or variables. */
  readonly format?: 'raw' | undefined;
}

const NAME = /^[^\s=#'"][^\s=]*$/;

/**
 * Reads a `.env` or `env_file`: `NAME=value`, `export NAME=value`, `NAME: value`, comments, `'literal'` and `"with $variables and \n"`
 * values, which may span lines. A name alone takes its value from `env`, and is left out when that has none.
 *
 * @throws {@link ComposeError} `COMPOSE_ENV_FILE`: no name, or an open quote, with its line; `COMPOSE_INTERPOLATION`
 * @see https://docs.docker.com/reference/compose-file/services/#env_file-format
 */
export function parseEnvFile(text: string, options: EnvFileOptions = {}): ReadonlyMap<string, string> {
  const { file = '.env', env = new Map<string, string>(), format } = options;
  const found = new Map<string, string>();
  const lines = (text.startsWith('\uFEFF') ? text.slice(1) : text).replaceAll('\r\n', '\n').split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const line = (lines[index] ?? '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const at = { file, line: index + 1 };
    const { name, rest } = splitLine(line, at);
    if (rest === undefined) {
      const inherited = env.get(name);
      if (inherited !== undefined) found.set(name, inherited);
    } else if (format === 'raw') found.set(name, rest);
    else {
      const scope = new Map([...found, ...env]);
      const value = readValue({ lines, index, rest }, at, scope);
      found.set(name, value.text);
      index = value.endIndex;
    }
  }
  return found;
}

interface Place {
  readonly file: string;
  readonly line: number;
}

const fail = ({ file, line }: Place, what: string): ComposeError =>
  new ComposeError('COMPOSE_ENV_FILE', `${file}:${String(line)}: ${what}`, { file, line });

function splitLine(line: string, at: Place): { readonly name: string; readonly rest: string | undefined } {
  const body = line.startsWith('export ') ? line.slice('export '.length).trimStart() : line;
  const equals = body.indexOf('=');
  const colon = body.indexOf(': ');
  const separator = equals < 0 ? colon : colon >= 0 && colon < equals ? colon : equals;
  const name = (separator < 0 ? body : body.slice(0, separator)).trim();
  if (!NAME.test(name)) throw fail(at, `${JSON.stringify(name)} is no variable name`);
  return { name, rest: separator < 0 ? undefined : body.slice(separator + 1) };
}

interface Unread {
  readonly lines: readonly string[];
  readonly index: number;
  readonly rest: string;
}

interface ReadValue {
  readonly text: string;
  readonly endIndex: number;
}

function readValue({ lines, index, rest }: Unread, at: Place, scope: Environment): ReadValue {
  const start = rest.trimStart();
  const quote = start[0];
  if (quote !== '"' && quote !== "'") return { text: interpolate(withoutComment(rest), scope), endIndex: index };
  let text = start.slice(1);
  let endIndex = index;
  let end = closingQuote(text, quote);
  while (end < 0) {
    endIndex += 1;
    const next = lines[endIndex];
    if (next === undefined) throw fail(at, `the quote ${quote} is not closed`);
    text += `\n${next}`;
    end = closingQuote(text, quote);
  }
  const tail = text.slice(end + 1).trim();
  if (tail !== '' && !tail.startsWith('#'))
    throw fail(at, `unexpected ${JSON.stringify(tail.slice(0, 40))} behind the quote`);
  const body = text.slice(0, end);
  return { text: quote === "'" ? body.replaceAll("\\'", "'") : interpolate(unescape(body), scope), endIndex };
}

function closingQuote(text: string, quote: string): number {
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === quote) return index;
  }
  return -1;
}

/** A comment begins at a `#` behind white space. */
function withoutComment(rest: string): string {
  for (let index = 0; index < rest.length; index += 1) {
    if (rest[index] === '#' && (index === 0 || (rest[index - 1] ?? '').trim() === ''))
      return rest.slice(0, index).trim();
  }
  return rest.trim();
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['f', '\f'],
  ['b', '\b'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
  ["'", "'"],
  // An escaped dollar is for the interpolation that follows, which writes one as two.
  ['$', '$$'],
]);

function unescape(text: string): string {
  let out = '';
  for (let index = 0; index < text.length; index += 1) {
    const next = text[index + 1] ?? '';
    const escaped = text[index] === '\\' ? ESCAPES.get(next) : undefined;
    out += escaped ?? text[index] ?? '';
    if (escaped !== undefined) index += 1;
  }
  return out;
}
