import type { EscapeCharacter } from './directives.ts';

const isSpace = (char: string): boolean => char.trim() === '';

/**
 * Splits at white space outside quotes. Quotes and escapes stay in the words: expansion takes them off later, so that
 * `"$a b"` is known to have been quoted.
 */
export function splitWords(text: string, escape: EscapeCharacter): readonly string[] {
  const words: string[] = [];
  let position = 0;
  while (position < text.length) {
    if (isSpace(text[position] ?? '')) position += 1;
    else {
      const end = endOfWord(text, position, escape);
      const word = text.slice(position, end);
      words.push(word === escape ? '' : word);
      position = end;
    }
  }
  return words.filter((word) => word !== '');
}

/** The index behind the word that starts at `start`. An open quote reaches to the end of the text. */
export function endOfWord(text: string, start: number, escape: EscapeCharacter): number {
  let quote = '';
  let position = start;
  for (; position < text.length; position += 1) {
    const char = text[position] ?? '';
    if (char === escape && quote !== "'") position += 1;
    else if (quote !== '') {
      if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (isSpace(char)) return position;
  }
  return Math.min(position, text.length);
}

/** Splits one line of comma-separated values: fields may stand in double quotes, where `""` is a quote. */
export function splitCommas(text: string): readonly string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let position = 0; position < text.length; position += 1) {
    const char = text[position] ?? '';
    if (char === '"') {
      const doubled = quoted && text[position + 1] === '"';
      if (doubled) [field, position] = [`${field}"`, position + 1];
      else quoted = !quoted;
    } else if (char === ',' && !quoted) {
      fields.push(field);
      field = '';
    } else field += char;
  }
  return [...fields, field];
}
