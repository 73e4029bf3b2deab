import { alignTabs } from './table.ts';
import { compileTemplate } from './template/evaluate.ts';

/** A row as a template sees it; a function is a method such as `{{.Label "x"}}`. */
export type Row = Readonly<Record<string, unknown>>;

export interface Listing {
  /** What a table shows when no format is asked for. */
  readonly columns: string;
  /** The heading of each field. */
  readonly headings: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  /** The field that `--quiet` prints. */
  readonly idField: string;
}

/** Prints rows as `--format` says: a table, `json`, `table TEMPLATE` or a template; `quiet` means ids alone. */
export function formatListing(
  listing: Listing,
  { format, quiet = false }: { readonly format?: string | undefined; readonly quiet?: boolean | undefined } = {},
): string {
  const asked = format === undefined || format === '' ? 'table' : format;
  if (quiet && (asked === 'table' || asked === 'raw')) return eachRow(listing, `{{.${listing.idField}}}`);
  if (asked === 'json') return eachRow(listing, '{{json .}}');
  if (asked === 'table') return formatTable(listing, listing.columns);
  if (asked.startsWith('table ')) return formatTable(listing, unescape(asked.slice('table '.length)));
  return eachRow(listing, unescape(asked));
}

function eachRow(listing: Listing, format: string): string {
  const template = compileTemplate(format);
  return listing.rows.map((row) => `${template(row)}\n`).join('');
}

function formatTable(listing: Listing, format: string): string {
  const template = compileTemplate(format.trim());
  const headings: Row = { ...listing.headings, Label: (name: unknown) => headingOfLabel(String(name)) };
  return alignTabs([template(headings), ...listing.rows.map((row) => template(row))]);
}

/** `com.example.some-label` is headed `some label`, as Docker does. */
const headingOfLabel = (name: string): string => (name.split('.').at(-1) ?? name).replaceAll(/[-_]/g, ' ');

/** A shell hands over `\t` as two characters. */
const unescape = (format: string): string => format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
