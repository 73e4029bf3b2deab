import type { EscapeCharacter } from './directives.ts';
import { splitWords } from './words.ts';

/** A here-document: the lines between `<<EOF` and `EOF`. */
export interface Heredoc {
  /** The terminator, which is also the file name that COPY gives the text. */
  readonly name: string;
  /** The file descriptor written before `<<`; shells read it, COPY does not. */
  readonly descriptor: number;
  /** `<<EOF` expands variables; with any quoting (`<<"EOF"`) the text is literal. */
  readonly expand: boolean;
  /** `<<-EOF`: leading tabs are no part of the text nor of the terminator. */
  readonly stripTabs: boolean;
  /** The lines as written, each with its newline; `stripTabs` is not yet applied. */
  readonly content: string;
}

export type HeredocStart = Omit<Heredoc, 'content'>;

/** The here-documents that a line announces, in order. */
export const findHeredocs = (line: string, escape: EscapeCharacter): readonly HeredocStart[] =>
  splitWords(line, escape)
    .map((word) => parseHeredocStart(word))
    .filter((start) => start !== undefined);

/** Reads `<<EOF`, `3<<-'EOF'`; undefined for any other word. */
export function parseHeredocStart(word: string): HeredocStart | undefined {
  const arrows = word.indexOf('<<');
  if (arrows < 0 || !isDigits(word.slice(0, arrows))) return undefined;
  const stripTabs = word[arrows + 2] === '-';
  const rest = word.slice(arrows + (stripTabs ? 3 : 2));
  const name = unquote(rest);
  if (name === undefined || name === '' || name.includes('<')) return undefined;
  return { name, descriptor: Number(word.slice(0, arrows) || 0), expand: name === rest, stripTabs };
}

/** The text that COPY and ADD write: without leading tabs after `<<-`. */
export const heredocText = (heredoc: Heredoc): string =>
  heredoc.stripTabs
    ? heredoc.content
        .split('\n')
        .map((line) => stripLeadingTabs(line))
        .join('\n')
    : heredoc.content;

/** Whether a line ends the here-document. */
export const endsHeredoc = (start: HeredocStart, line: string): boolean =>
  (start.stripTabs ? stripLeadingTabs(line) : line) === start.name;

function stripLeadingTabs(line: string): string {
  let tabs = 0;
  while (line[tabs] === '\t') tabs += 1;
  return line.slice(tabs);
}

const isDigits = (text: string): boolean => Array.from(text).every((char) => char >= '0' && char <= '9');

function unquote(word: string): string | undefined {
  let name = '';
  let quote = '';
  for (let position = 0; position < word.length; position += 1) {
    const char = word[position] ?? '';
    if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else if (char === '\\' && quote === '') name += word[(position += 1)] ?? '';
    else name += char;
  }
  return quote === '' ? name : undefined;
}
