import { badValue } from '../errors.ts';

/** One line of comma-separated values: a field in double quotes may hold commas, and quotes when doubled. */
export function parseCsv(line: string): readonly string[] {
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    const plain = /^([^",]*)(,|$)/.exec(rest);
    const match = quoted ?? plain;
    if (match === null) throw badValue(`bad quotes in "${line}"`);
    fields.push((match[1] ?? '').replaceAll('""', '"'));
    if (match[2] === '') return fields;
    rest = rest.slice(match[0].length);
  }
}
