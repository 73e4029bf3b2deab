import type { EscapeCharacter } from './directives.ts';
import { endsHeredoc, findHeredocs } from './heredoc.ts';
import type { Heredoc, HeredocStart } from './heredoc.ts';
import { errorAt } from './source.ts';
import type { SourceFile, SourcePlace } from './source.ts';

/** One instruction as a single line: continuations joined, comments taken out, here-documents beside it. */
export interface LogicalLine extends SourcePlace {
  /** The first word as written. */
  readonly keyword: string;
  /** What follows the keyword, trimmed at both ends. */
  readonly rest: string;
  readonly heredocs: readonly Heredoc[];
  /** The comment lines right above, without `#`. */
  readonly comments: readonly string[];
  /** An empty line inside a continuation: deprecated, and worth a warning. */
  readonly hasEmptyContinuation: boolean;
}

const HEREDOC_KEYWORDS = new Set(['ADD', 'COPY', 'RUN']);

/**
 * Splits a Dockerfile into its instructions.
 *
 * @throws {@link BuilderError} `BUILDER_SYNTAX`: a here-document without its terminator
 */
export function* logicalLines(source: SourceFile, escape: EscapeCharacter): Generator<LogicalLine> {
  let comments: string[] = [];
  for (let index = 0; index < source.lines.length; index += 1) {
    const line = source.lines[index] ?? '';
    if (isComment(line)) comments.push(line.trim().slice(1).trim());
    else if (line.trim() === '') comments = [];
    else {
      const joined = joinContinuations(source, index, escape);
      if (joined.text.trim() !== '') {
        const read = readInstruction(source, { startIndex: index, ...joined }, escape);
        yield { ...read, comments, hasEmptyContinuation: joined.hasEmptyContinuation };
        comments = [];
        index = read.range.endLine - 1;
      } else index = joined.endIndex;
    }
  }
}

const isComment = (line: string): boolean => line.trimStart().startsWith('#');

interface JoinedLine {
  readonly text: string;
  readonly endIndex: number;
  readonly hasEmptyContinuation: boolean;
}

/** Comment lines and empty lines inside a continuation vanish; the space at the front of a continued line stays. */
function joinContinuations(source: SourceFile, startIndex: number, escape: EscapeCharacter): JoinedLine {
  const parts: string[] = [];
  let hasEmptyContinuation = false;
  let index = startIndex;
  for (; index < source.lines.length; index += 1) {
    const line = source.lines[index] ?? '';
    if (index > startIndex && isComment(line)) continue;
    if (index > startIndex && line.trim() === '') {
      hasEmptyContinuation = true;
      continue;
    }
    const trimmed = trimSpacesAndTabs(line);
    const continues = trimmed.endsWith(escape);
    parts.push(continues ? trimmed.slice(0, -1) : line);
    if (!continues) break;
  }
  return { text: parts.join(''), endIndex: Math.min(index, source.lines.length - 1), hasEmptyContinuation };
}

function trimSpacesAndTabs(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end -= 1;
  return line.slice(0, end);
}

type ReadInstruction = Omit<LogicalLine, 'comments' | 'hasEmptyContinuation'>;

function readInstruction(
  source: SourceFile,
  line: { readonly text: string; readonly startIndex: number; readonly endIndex: number },
  escape: EscapeCharacter,
): ReadInstruction {
  const [keyword, rest] = splitKeyword(line.text);
  const place = { source, range: { startLine: line.startIndex + 1, endLine: line.endIndex + 1 } };
  const starts = takesHeredocs(keyword, rest) ? findHeredocs(rest, escape) : [];
  const { heredocs, endIndex } = readHeredocs(place, starts);
  return { source, keyword, rest, heredocs, range: { ...place.range, endLine: endIndex + 1 } };
}

/** Splits `RUN  make all` into the keyword and the rest. */
export function splitKeyword(text: string): readonly [keyword: string, rest: string] {
  const trimmed = text.trim();
  const end = trimmed.search(/\s/);
  return end < 0 ? [trimmed, ''] : [trimmed.slice(0, end), trimmed.slice(end).trim()];
}

function takesHeredocs(keyword: string, rest: string): boolean {
  const upper = keyword.toUpperCase();
  if (upper === 'ONBUILD') return takesHeredocs(...splitKeyword(rest));
  return HEREDOC_KEYWORDS.has(upper) && rest.includes('<<');
}

function readHeredocs(
  place: SourcePlace,
  starts: readonly HeredocStart[],
): { readonly heredocs: readonly Heredoc[]; readonly endIndex: number } {
  const { lines } = place.source;
  const heredocs: Heredoc[] = [];
  let endIndex = place.range.endLine - 1;
  for (const start of starts) {
    const from = endIndex + 1;
    endIndex = from;
    while (endIndex < lines.length && !endsHeredoc(start, lines[endIndex] ?? '')) endIndex += 1;
    if (endIndex >= lines.length) {
      throw errorAt(place, 'BUILDER_SYNTAX', `here-document ${start.name} has no end, no line is just ${start.name}`);
    }
    const content = lines.slice(from, endIndex).map((line) => `${line}\n`);
    heredocs.push({ ...start, content: content.join('') });
  }
  return { heredocs, endIndex };
}
