import { errorAt, wordAt } from './source.ts';
import type { SourceFile } from './source.ts';

/** The character that escapes the next one and continues a line: backslash, or backtick for Windows paths. */
export type EscapeCharacter = '\\' | '`';

/** The `# key=value` comments that may stand at the very top of a Dockerfile. */
export interface ParserDirectives {
  readonly escape: EscapeCharacter;
  /** The frontend image that `# syntax=` asks for. */
  readonly syntax: string | undefined;
  readonly check: CheckDirective | undefined;
}

/** `# check=skip=RuleA,RuleB;error=true`. */
export interface CheckDirective {
  readonly skip: readonly string[];
  readonly error: boolean;
}

const KNOWN = new Set(['syntax', 'escape', 'check']);

/**
 * Reads the directives. The first line that is not a known directive ends them, also a blank one or a comment.
 *
 * @throws {@link BuilderError} `BUILDER_SYNTAX`: a directive twice, or a value it can't have
 */
export function parseDirectives(source: SourceFile): ParserDirectives {
  const found = new Map<string, string>();
  for (const [index, line] of source.lines.entries()) {
    const directive = splitDirective(line);
    if (directive === undefined) break;
    const place = { source, range: { startLine: index + 1, endLine: index + 1 } };
    if (found.has(directive.key)) {
      throw errorAt(wordAt(place, directive.key), 'BUILDER_SYNTAX', `parser directive ${directive.key} is given twice`);
    }
    if (directive.key === 'escape' && directive.value !== '\\' && directive.value !== '`') {
      throw errorAt(
        wordAt(place, directive.value),
        'BUILDER_SYNTAX',
        `escape must be \\ or \`, not ${directive.value}`,
      );
    }
    found.set(directive.key, directive.value);
  }
  return {
    escape: found.get('escape') === '`' ? '`' : '\\',
    syntax: found.get('syntax'),
    check: parseCheck(found.get('check')),
  };
}

function splitDirective(line: string): { readonly key: string; readonly value: string } | undefined {
  const text = line.trim();
  const equals = text.indexOf('=');
  if (!text.startsWith('#') || equals < 0) return undefined;
  const key = text.slice(1, equals).trim().toLowerCase();
  const value = text.slice(equals + 1).trim();
  return KNOWN.has(key) && value !== '' ? { key, value } : undefined;
}

function parseCheck(value: string | undefined): CheckDirective | undefined {
  if (value === undefined) return undefined;
  let skip: readonly string[] = [];
  let error = false;
  for (const part of value.split(';')) {
    const [key = '', ...rest] = part.split('=');
    const text = rest.join('=').trim();
    if (key.trim() === 'skip')
      skip = text
        .split(',')
        .map((rule) => rule.trim())
        .filter((rule) => rule !== '');
    if (key.trim() === 'error') error = text.toLowerCase() === 'true';
  }
  return { skip, error };
}
