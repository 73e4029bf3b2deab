/** One element of a shell pattern: exactly one character, any one, or any run of them. */
type Token = { readonly type: 'char'; readonly char: string } | { readonly type: 'any' } | { readonly type: 'run' };

/**
 * A pattern of `${v#p}` and its relatives: `*`, `?`, and a backslash before one of them or before itself. Matching walks a
 * set of states, so it takes time in proportion to pattern × text whatever the pattern says.
 */
export interface ShellPattern {
  readonly tokens: readonly Token[];
}

/** Reads a pattern; undefined when a backslash escapes something that needs no escape. */
export function parseShellPattern(text: string): ShellPattern | undefined {
  const chars = Array.from(text);
  const tokens: Token[] = [];
  for (let index = 0; index < chars.length; index += 1) {
    const char = chars[index] ?? '';
    const next = chars[index + 1];
    if (char === '*') {
      if (tokens.at(-1)?.type !== 'run') tokens.push({ type: 'run' });
    } else if (char === '?') tokens.push({ type: 'any' });
    else if (char === '\\') {
      if (next === undefined || !'*?\\}/'.includes(next)) return undefined;
      tokens.push({ type: 'char', char: next });
      index += 1;
    } else tokens.push({ type: 'char', char });
  }
  return { tokens };
}

/** The length, in characters of `text`, of the shortest or longest match at its front; undefined if none. */
export function matchPrefix(
  { tokens }: ShellPattern,
  text: readonly string[],
  { start = 0, longest }: { readonly start?: number | undefined; readonly longest: boolean },
): number | undefined {
  let states = close(tokens, new Set([0]));
  let found: number | undefined;
  for (let position = start; ; position += 1) {
    if (states.has(tokens.length)) {
      found = position - start;
      if (!longest) return found;
    }
    if (states.size === 0 || position >= text.length) return found;
    states = step(tokens, states, text[position] ?? '');
  }
}

/** Takes the shortest or longest match off the front of a value. */
export function trimPrefix(pattern: ShellPattern, value: string, longest: boolean): string {
  const chars = Array.from(value);
  return chars.slice(matchPrefix(pattern, chars, { longest }) ?? 0).join('');
}

/** Takes the shortest or longest match off the end of a value. */
export function trimSuffix(pattern: ShellPattern, value: string, longest: boolean): string {
  const chars = Array.from(value).reverse();
  const length = matchPrefix(reversed(pattern), chars, { longest }) ?? 0;
  return chars.slice(length).reverse().join('');
}

/** Replaces the first match, or all of them, each as long as it can be. An empty pattern matches once, at the front. */
export function replaceMatches(
  pattern: ShellPattern,
  value: string,
  { replacement, all }: { readonly replacement: string; readonly all: boolean },
): string {
  const chars = Array.from(value);
  if (pattern.tokens.length === 0) return replacement + value;
  const starts = matchStarts(pattern, chars);
  const out: string[] = [];
  for (let position = 0; position <= chars.length;) {
    const length = starts[position] === 1 ? matchPrefix(pattern, chars, { start: position, longest: true }) : undefined;
    if (length !== undefined) {
      out.push(replacement);
      position += length;
      if (!all) return [...out, ...chars.slice(position)].join('');
    }
    if (length === undefined || length === 0) {
      out.push(chars[position] ?? '');
      position += 1;
    } else if (position === chars.length) break;
  }
  return out.join('');
}

const reversed = ({ tokens }: ShellPattern): ShellPattern => ({ tokens: [...tokens].reverse() });

/**
 * Marks where a match begins, in one walk from the end. Trying every start instead would take the square of the length.
 */
function matchStarts(pattern: ShellPattern, text: readonly string[]): Uint8Array {
  const { tokens } = reversed(pattern);
  const starts = new Uint8Array(text.length + 1);
  let states = close(tokens, new Set([0]));
  for (let position = text.length; ; position -= 1) {
    if (states.has(tokens.length)) starts[position] = 1;
    if (position === 0) return starts;
    states = step(tokens, states, text[position - 1] ?? '');
    for (const state of close(tokens, new Set([0]))) states.add(state);
  }
}

function close(tokens: readonly Token[], states: Set<number>): Set<number> {
  for (const state of states) if (tokens[state]?.type === 'run') states.add(state + 1);
  return states;
}

function step(tokens: readonly Token[], states: ReadonlySet<number>, char: string): Set<number> {
  const next = new Set<number>();
  for (const state of states) {
    const token = tokens[state];
    if (token?.type === 'run') next.add(state);
    else if (token?.type === 'any' || (token?.type === 'char' && token.char === char)) next.add(state + 1);
  }
  return close(tokens, next);
}
