import type { SearchResult } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue } from '../errors.ts';
import { integer, list, parseBoolean, text, toggle } from '../flags/flag.ts';
import { matchesAny, parseFilters } from '../format/filter.ts';
import type { Filters } from '../format/filter.ts';
import { formatListing } from '../format/listing.ts';
import type { Row } from '../format/listing.ts';
import { ellipsis } from '../format/shorten.ts';
import { print } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { abortOnSignal } from '../terminal/signals.ts';

const HEADINGS = { Name: 'NAME', Description: 'DESCRIPTION', StarCount: 'STARS', IsOfficial: 'OFFICIAL' };
const DESCRIPTION_WIDTH = 45;
const LIMIT_MAX = 100;

export const command: Command = defineCommand({
  usage: '[OPTIONS] TERM',
  summary: 'Search Docker Hub for images',
  flags: {
    filter: list('Filter output based on conditions provided (stars=N, is-official=BOOL)', {
      short: 'f',
      valueName: 'filter',
    }),
    format: text("Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
    limit: integer('Max number of search results', { shownDefault: '25' }),
    'no-trunc': toggle("Don't truncate output"),
  },
  notYet: ['automated', 'stars', 's'],
  least: 1,
  most: 1,
  unprivileged: true,
  run: ({ values, positional: [term = ''] }) => {
    const filters = parseSearchFilters(values.filter);
    const limit = values.limit ?? 25;
    if (limit < 1 || limit > LIMIT_MAX) throw badValue(`--limit ${limit} is outside the range of [1, ${LIMIT_MAX}]`);
    return withRegistries(async (client) => {
      using abort = abortOnSignal();
      try {
        const results = await client.search(term, { limit, signal: abort.signal });
        const rows = results
          .filter((result) => searchMatches(result, filters))
          .map((result) => searchRow(result, { truncate: !values['no-trunc'] }));
        const columns = '{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}';
        print(formatListing({ columns, headings: HEADINGS, rows, idField: 'Name' }, { format: values.format }));
        return 0;
      } catch (error) {
        if (abort.exitCode === undefined) throw error;
        return abort.exitCode;
      }
    });
  },
});

export function parseSearchFilters(words: readonly string[]): Filters {
  const filters = parseFilters(words, ['is-official', 'stars']);
  for (const word of filters.get('stars') ?? []) {
    if (!/^\d+$/.test(word)) throw badValue(`invalid filter 'stars=${word}'`);
  }
  for (const word of filters.get('is-official') ?? []) {
    if (!['true', 'false', '1', '0'].includes(word)) throw badValue(`invalid filter 'is-official=${word}'`);
  }
  return filters;
}

/** Every filter has to let a result through; of several numbers of stars, the largest counts. */
export const searchMatches = ({ stars, official }: SearchResult, filters: Filters): boolean =>
  (filters.get('stars') ?? []).every((least) => stars >= Number(least)) &&
  matchesAny(filters, 'is-official', (word) => official === parseBoolean(word));

/** Descriptions are other people's words: on a terminal they are one line without control characters. */
export const searchRow = (result: SearchResult, { truncate }: { readonly truncate: boolean }): Row => {
  const description = result.description.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  return {
    Name: result.name,
    Description: truncate ? ellipsis(description, DESCRIPTION_WIDTH) : description,
    StarCount: result.stars,
    IsOfficial: result.official ? '[OK]' : '',
  };
};
