import { BuilderError } from './errors.ts';
import type { BuilderErrorCode } from './errors.ts';

/** Lines of a file, 1-based and inclusive. */
export interface SourceRange {
  readonly startLine: number;
  readonly endLine: number;
}

/** A text with the name that errors call it by. */
export interface SourceFile {
  readonly name: string;
  readonly lines: readonly string[];
}

/** A place in a source file that errors can point at. */
export interface SourcePlace {
  readonly source: SourceFile;
  readonly range: SourceRange;
  /** The word that an error is about. */
  readonly word?: string | undefined;
}

const EXCERPT_WIDTH = 100;
const BYTE_ORDER_MARK = '\uFEFF';

/** Splits a text into lines; a byte order mark and carriage returns at line ends are not part of them. */
export function readSource(name: string, text: string): SourceFile {
  const body = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  const lines = body.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  return { name, lines: lines.at(-1) === '' ? lines.slice(0, -1) : lines };
}

/** The same place, with the word in it that is wrong. */
export const wordAt = (place: SourcePlace, word: string | undefined): SourcePlace => ({
  source: place.source,
  range: place.range,
  word,
});

/** The error for a place: `Dockerfile:7: what`, then the line with carets below the word, or below all of it. */
export function errorAt(place: SourcePlace, code: BuilderErrorCode, what: string): BuilderError {
  const { source, word } = place;
  const line = lineOf(place, word);
  const message = `${source.name}:${String(line)}: ${what}\n${excerpt(source.lines[line - 1] ?? '', line, word)}`;
  return new BuilderError(code, message, { file: source.name, line });
}

/** An instruction may span many lines; the one with the offending word is the one to show. */
function lineOf({ source, range }: SourcePlace, token: string | undefined): number {
  if (token !== undefined && token !== '') {
    for (let line = range.startLine; line <= range.endLine; line += 1) {
      if (source.lines[line - 1]?.includes(token) === true) return line;
    }
  }
  return range.startLine;
}

function excerpt(text: string, line: number, token: string | undefined): string {
  const shown = text.replaceAll('\t', ' ').slice(0, EXCERPT_WIDTH);
  const gutter = String(line);
  const at = token === undefined || token === '' ? -1 : shown.indexOf(token.replaceAll('\t', ' '));
  const start = at >= 0 ? at : shown.length - shown.trimStart().length;
  const width = at >= 0 ? (token ?? '').length : shown.trim().length;
  return `  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${' '.repeat(start)}${'^'.repeat(Math.max(1, width))}`;
}
