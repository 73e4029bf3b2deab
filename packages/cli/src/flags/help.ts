import type { Flag, Flags } from './flag.ts';

export interface HelpPage {
  /** `tsc run [OPTIONS] IMAGE [COMMAND] [ARG...]` */
  readonly usage: string;
  readonly summary: string;
  /** Every way to call it, when there are several: `tsc container run`, `tsc run`. */
  readonly aliases: readonly string[];
  readonly flags: Flags;
}

/** The text of `--help`, laid out as Docker's. */
export function formatHelp(page: HelpPage, columns: number): string {
  const sections = [`Usage:  ${page.usage}`, page.summary];
  if (page.aliases.length > 1) sections.push(`Aliases:\n  ${page.aliases.join(', ')}`);
  const options = formatOptions(page.flags, columns);
  if (options !== '') sections.push(`Options:\n${options}`);
  return `${sections.join('\n\n')}\n`;
}

function formatOptions(flags: Flags, columns: number): string {
  const rows = Object.entries(flags)
    .filter(([, flag]) => !flag.hidden)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => ({ left: leftColumn(name, flag), right: rightColumn(flag) }));
  const indent = Math.max(0, ...rows.map((row) => row.left.length)) + 3;
  return rows.map(({ left, right }) => left.padEnd(indent) + wrap(right, columns - indent, indent)).join('\n');
}

const leftColumn = (name: string, flag: Flag<unknown>): string =>
  `${flag.short === undefined ? '      ' : `  -${flag.short}, `}--${name}` +
  (flag.valueName === undefined ? '' : ` ${flag.valueName}`);

const rightColumn = (flag: Flag<unknown>): string =>
  flag.shownDefault === undefined ? flag.help : `${flag.help} (default ${flag.shownDefault})`;

/** Breaks at spaces; a column narrower than 24 isn't worth wrapping into. */
function wrap(words: string, width: number, indent: number): string {
  if (width < 24) return words;
  const lines: string[] = [''];
  for (const word of words.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}
