import { posix } from 'node:path';
import { BuilderError } from './errors.ts';
import { compilePathPattern, matchesPathOrParent } from './path-pattern.ts';
import type { PathPattern } from './path-pattern.ts';

interface IgnoreRule {
  readonly pattern: PathPattern;
  /** `!pattern`: brings back what an earlier rule left out. */
  readonly negated: boolean;
}

/** The rules of a `.dockerignore`. The last one that matches a path or a directory above it decides. */
export interface IgnoreRules {
  readonly rules: readonly IgnoreRule[];
}

/**
 * Reads a `.dockerignore`.
 *
 * @throws {@link BuilderError} `BUILDER_IGNORE_PATTERN`: a malformed pattern, with its line
 * @see https://docs.docker.com/build/concepts/context/#dockerignore-files
 */
export function parseIgnoreFile(text: string, file: string = '.dockerignore'): IgnoreRules {
  const lines = (text.startsWith('\uFEFF') ? text.slice(1) : text).split('\n');
  return { rules: lines.flatMap((line, index) => readLine(line, file, index + 1)) };
}

/** Rules from bare patterns, as `COPY --exclude` has them. */
export const ignorePatterns = (patterns: readonly string[], file: string): IgnoreRules => ({
  rules: patterns.flatMap((pattern) => readLine(pattern, file, 1)),
});

function readLine(text: string, file: string, line: number): readonly IgnoreRule[] {
  // Only a '#' in the first column makes a comment.
  if (text.startsWith('#')) return [];
  const trimmed = text.trim();
  if (trimmed === '') return [];
  const negated = trimmed.startsWith('!');
  const body = negated ? trimmed.slice(1).trim() : trimmed;
  if (body === '') {
    throw new BuilderError('BUILDER_IGNORE_PATTERN', `${file}:${line}: ! needs a pattern`, { file, line });
  }
  const pattern = cleanPattern(body);
  try {
    return [{ pattern: compilePathPattern(pattern), negated }];
  } catch (error) {
    const why = `${file}:${line}: malformed pattern ${body}`;
    throw new BuilderError('BUILDER_IGNORE_PATTERN', why, { file, line, cause: error });
  }
}

/** `/a/./b/` is `a/b`. What would climb above the context can't match anything below it. */
function cleanPattern(pattern: string): string {
  const clean = posix.normalize(pattern);
  const open = clean.endsWith('/') && clean.length > 1 ? clean.slice(0, -1) : clean;
  return open.startsWith('/') && open.length > 1 ? open.slice(1) : open;
}

/** Whether a path (slashes, relative to the context) is left out. The context itself never is. */
export function isIgnored({ rules }: IgnoreRules, path: string): boolean {
  let ignored = false;
  for (const { pattern, negated } of rules) {
    if (negated === ignored && matchesPathOrParent(pattern, path)) ignored = !negated;
  }
  return ignored && path !== '.' && path !== '';
}

/** Whether an ignored directory can hold files that a `!` rule brings back, so that a walk has to enter it. */
export const canReinclude = ({ rules }: IgnoreRules): boolean => rules.some((rule) => rule.negated);
