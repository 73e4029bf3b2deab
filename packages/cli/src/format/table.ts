const MIN_WIDTH = 10;
const PADDING = 3;

/**
 * Aligns the tab-separated cells of lines as Docker's tables are: columns at least ten wide with three spaces between
 * them, the last cell of a line as it is. A column belongs to neighbouring lines that have it.
 */
export function alignTabs(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split('\t'));
  const output = rows.map(() => '');
  layOut(rows, output, { from: 0, to: rows.length, column: 0 });
  return output.map((line) => `${line}\n`).join('');
}

function layOut(
  rows: readonly (readonly string[])[],
  output: string[],
  { from, to, column }: { from: number; to: number; column: number },
): void {
  const continues = (row: number): boolean => (rows[row]?.length ?? 0) > column + 1;
  for (let start = from; start < to; start++) {
    if (!continues(start)) {
      output[start] = (output[start] ?? '') + (rows[start]?.[column] ?? '');
      continue;
    }
    let end = start;
    while (end < to && continues(end)) end++;
    const width = columnWidth(rows.slice(start, end), column);
    for (let row = start; row < end; row++) output[row] = (output[row] ?? '') + padTo(rows[row]?.[column] ?? '', width);
    layOut(rows, output, { from: start, to: end, column: column + 1 });
    start = end - 1;
  }
}

const columnWidth = (rows: readonly (readonly string[])[], column: number): number =>
  Math.max(MIN_WIDTH, ...rows.map((row) => Array.from(row[column] ?? '').length + PADDING));

const padTo = (cell: string, width: number): string => cell + ' '.repeat(Math.max(0, width - Array.from(cell).length));
