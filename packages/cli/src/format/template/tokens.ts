import { badValue } from '../../errors.ts';

export type Token =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'open' | 'close' | 'pipe' | 'left' | 'right' | 'declare' | 'assign' | 'comma' | 'dot' | 'space' }
  | { readonly type: 'field' | 'variable' | 'name'; readonly text: string }
  | { readonly type: 'literal'; readonly value: string | number | boolean | null };

const PUNCTUATION: readonly (readonly [string, Token['type']])[] = [
  [':=', 'declare'],
  ['=', 'assign'],
  ['|', 'pipe'],
  ['(', 'left'],
  [')', 'right'],
  [',', 'comma'],
];

/** A template that doesn't parse; Go's words, as scripts may look for them. */
export const templateError = (message: string): Error => badValue(`template parsing error: template: :1: ${message}`);

/** Splits a Go template into text and the tokens between `{{` and `}}`. */
export function tokenize(template: string): readonly Token[] {
  const tokens: Token[] = [];
  let rest = template;
  let trimNext = false;
  for (;;) {
    const open = rest.indexOf('{{');
    let text = open === -1 ? rest : rest.slice(0, open);
    if (trimNext) text = text.trimStart();
    if (open === -1) {
      if (text !== '') tokens.push({ type: 'text', text });
      return tokens;
    }
    const action = readAction(rest.slice(open + 2));
    if (action.trimBefore) text = text.trimEnd();
    if (text !== '') tokens.push({ type: 'text', text });
    if (action.tokens.length > 0) tokens.push({ type: 'open' }, ...action.tokens, { type: 'close' });
    trimNext = action.trimAfter;
    rest = action.rest;
  }
}

interface Action {
  readonly tokens: readonly Token[];
  readonly rest: string;
  readonly trimBefore: boolean;
  readonly trimAfter: boolean;
}

function readAction(source: string): Action {
  const trimBefore = /^-\s/.test(source);
  let rest = trimBefore ? source.slice(2) : source;
  const comment = /^\s*\/\*[\s\S]*?\*\/(\s-)?\s*\}\}/.exec(rest);
  if (comment !== null) {
    return { tokens: [], rest: rest.slice(comment[0].length), trimBefore, trimAfter: comment[1] !== undefined };
  }
  const tokens: Token[] = [];
  for (;;) {
    const end = /^(\s-)?\}\}/.exec(rest);
    if (end !== null) {
      if (tokens.every((token) => token.type === 'space')) throw templateError('missing value for command');
      return { tokens, rest: rest.slice(end[0].length), trimBefore, trimAfter: end[1] !== undefined };
    }
    const { token, length } = readToken(rest);
    tokens.push(token);
    rest = rest.slice(length);
  }
}

function readToken(rest: string): { token: Token; length: number } {
  if (rest === '') throw templateError('unclosed action');
  const space = /^\s+(?!-\}\})|^\s+(?=\s-\}\})/.exec(rest);
  if (space !== null) return { token: { type: 'space' }, length: space[0].length };
  const mark = PUNCTUATION.find(([spelling]) => rest.startsWith(spelling));
  if (mark !== undefined) return { token: { type: mark[1] } as Token, length: mark[0].length };
  return readString(rest) ?? readNumber(rest) ?? readWord(rest);
}

function readString(rest: string): { token: Token; length: number } | undefined {
  const raw = /^`([^`]*)`/.exec(rest);
  if (raw !== null) return { token: { type: 'literal', value: raw[1] ?? '' }, length: raw[0].length };
  if (!rest.startsWith('"')) return undefined;
  const quoted = /^"((?:[^"\\\n]|\\.)*)"/.exec(rest);
  if (quoted === null) throw templateError('unterminated quoted string');
  return { token: { type: 'literal', value: unescape(quoted[1] ?? '') }, length: quoted[0].length };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\', "'": "'" };

const unescape = (text: string): string =>
  text.replace(/\\(u[\da-fA-F]{4}|x[\da-fA-F]{2}|.)/g, (_, escape: string) => {
    if (escape.length > 1) return String.fromCodePoint(Number.parseInt(escape.slice(1), 16));
    const character = ESCAPES[escape];
    if (character === undefined) throw templateError(`unknown escape \\${escape} in string`);
    return character;
  });

function readNumber(rest: string): { token: Token; length: number } | undefined {
  const number = /^[+-]?(0x[\da-fA-F]+|\d+(\.\d+)?)(?![\w.])/.exec(rest);
  if (number === null) return undefined;
  return { token: { type: 'literal', value: Number(number[0]) }, length: number[0].length };
}

const CONSTANTS: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null };

function readWord(rest: string): { token: Token; length: number } {
  const variable = /^\$\w*/.exec(rest);
  if (variable !== null) return { token: { type: 'variable', text: variable[0] }, length: variable[0].length };
  const field = /^\.([\p{L}_][\p{L}\d_]*)/u.exec(rest);
  if (field !== null) return { token: { type: 'field', text: field[1] ?? '' }, length: field[0].length };
  if (rest.startsWith('.')) return { token: { type: 'dot' }, length: 1 };
  const name = /^[\p{L}_][\p{L}\d_]*/u.exec(rest)?.[0];
  if (name === undefined) throw templateError(`unexpected ${JSON.stringify(rest.charAt(0))} in command`);
  const constant = CONSTANTS[name];
  const token: Token = constant === undefined ? { type: 'name', text: name } : { type: 'literal', value: constant };
  return { token, length: name.length };
}
