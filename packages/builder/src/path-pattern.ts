import { BuilderError } from './errors.ts';

/** One element of a path pattern. */
type Token =
  | { readonly type: 'char'; readonly char: string }
  /** `?`: any character but `/`. */
  | { readonly type: 'any' }
  /** `*`: any run of characters but `/`. */
  | { readonly type: 'run' }
  /** `**` at the end: anything. */
  | { readonly type: 'rest' }
  /** `**` and `**` + `/` before something: nothing, or anything that ends in `/`. */
  | { readonly type: 'directories' }
  | { readonly type: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] };

/** A compiled pattern. It matches in time proportional to pattern × path. */
export interface PathPattern {
  readonly tokens: readonly Token[];
  /** The pattern's text when nothing in it is special: then matching is comparing. */
  readonly literal: string | undefined;
}

const bad = (text: string): BuilderError => new BuilderError('BUILDER_IGNORE_PATTERN', `malformed pattern ${text}`);

/**
 * Compiles a pattern of `.dockerignore` or of COPY: Go's `filepath.Match` (`*`, `?`, `[a-z]`, `[^a]`, backslash) and
 * Docker's `**`.
 *
 * @throws {@link BuilderError} `BUILDER_IGNORE_PATTERN`: an open or empty class, a trailing backslash
 */
export function compilePathPattern(text: string): PathPattern {
  const chars = Array.from(text);
  const tokens: Token[] = [];
  for (let index = 0; index < chars.length;) {
    const char = chars[index] ?? '';
    if (char === '*') index = readStars(tokens, chars, index);
    else if (char === '[') index = readClass(tokens, chars, index);
    else if (char === '\\') {
      const next = chars[index + 1];
      if (next === undefined) throw bad(text);
      tokens.push({ type: 'char', char: next });
      index += 2;
    } else {
      tokens.push(char === '?' ? { type: 'any' } : { type: 'char', char });
      index += 1;
    }
  }
  const characters = tokens.flatMap((token) => (token.type === 'char' ? [token.char] : []));
  return { tokens, literal: characters.length === tokens.length ? characters.join('') : undefined };
}

/** `**` at the very front and not before a `/` matches any front, also one that does not end at a `/`: `**.log`. */
function readStars(tokens: Token[], chars: readonly string[], start: number): number {
  if (chars[start + 1] !== '*') {
    tokens.push({ type: 'run' });
    return start + 1;
  }
  let index = start + 2;
  const slash = chars[index] === '/';
  if (slash) index += 1;
  if (index >= chars.length) tokens.push({ type: 'rest' });
  else if (start === 0 && !slash && isLiteral(chars.slice(index))) tokens.push({ type: 'rest' });
  else tokens.push({ type: 'directories' });
  return index;
}

const isLiteral = (chars: readonly string[]): boolean => !chars.some((char) => '*?[]\\'.includes(char));

function readClass(tokens: Token[], chars: readonly string[], start: number): number {
  const text = chars.join('');
  let index = start + 1;
  const negated = chars[index] === '^';
  if (negated) index += 1;
  const ranges: (readonly [number, number])[] = [];
  while (chars[index] !== ']' || ranges.length === 0) {
    const [low, afterLow] = readClassChar(chars, index);
    let high = low;
    index = afterLow;
    if (chars[index] === '-') [high, index] = readClassChar(chars, index + 1);
    ranges.push([low, high]);
    if (index >= chars.length) throw bad(text);
  }
  tokens.push({ type: 'class', negated, ranges });
  return index + 1;
}

function readClassChar(chars: readonly string[], index: number): readonly [code: number, next: number] {
  const escaped = chars[index] === '\\';
  const at = escaped ? index + 1 : index;
  const char = chars[at];
  if (char === undefined || (!escaped && (char === '-' || char === ']'))) throw bad(chars.join(''));
  return [char.codePointAt(0) ?? 0, at + 1];
}

/** Whether a pattern matches a whole path. */
export function matchesPath(pattern: PathPattern, path: string): boolean {
  if (pattern.literal !== undefined) return pattern.literal === path;
  return walk(pattern, path, false) !== undefined;
}

/** Whether a pattern matches a path or a directory above it. One walk finds both. */
export function matchesPathOrParent(pattern: PathPattern, path: string): boolean {
  if (pattern.literal !== undefined) return path === pattern.literal || path.startsWith(`${pattern.literal}/`);
  return walk(pattern, path, true) !== undefined;
}

function walk({ tokens }: PathPattern, path: string, parents: boolean): true | undefined {
  let states = new Set<number>();
  enter(tokens, states, 0);
  for (const char of path) {
    if (states.size === 0) return undefined;
    if (parents && char === '/' && states.has(tokens.length)) return true;
    states = step(tokens, states, char);
  }
  return states.has(tokens.length) ? true : undefined;
}

/** Adds a state and those that follow it without a character. */
function enter(tokens: readonly Token[], states: Set<number>, state: number): void {
  for (let next = state; !states.has(next); next += 1) {
    states.add(next);
    const type = tokens[next]?.type;
    if (type !== 'run' && type !== 'rest' && type !== 'directories') return;
  }
}

function step(tokens: readonly Token[], states: ReadonlySet<number>, char: string): Set<number> {
  const next = new Set<number>();
  for (const state of states) {
    const token = tokens[state];
    if (token === undefined) continue;
    if (token.type === 'rest' || (token.type === 'run' && char !== '/')) enter(tokens, next, state);
    else if (token.type === 'directories') {
      next.add(~state);
      if (char === '/') enter(tokens, next, state + 1);
    } else if (consumes(token, char)) enter(tokens, next, state + 1);
  }
  return inside(tokens, states, { next, char });
}

/** Negative states are inside a `directories` token, where only a `/` leads out. */
function inside(
  tokens: readonly Token[],
  states: ReadonlySet<number>,
  { next, char }: { readonly next: Set<number>; readonly char: string },
): Set<number> {
  for (const state of states) {
    if (state < 0) {
      next.add(state);
      if (char === '/') enter(tokens, next, ~state + 1);
    }
  }
  return next;
}

function consumes(token: Token, char: string): boolean {
  if (token.type === 'char') return token.char === char;
  if (token.type === 'any') return char !== '/';
  // A class may match a slash, as in Docker: its patterns are regular expressions where Go's would not.
  if (token.type !== 'class') return false;
  const code = char.codePointAt(0) ?? 0;
  return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
}
