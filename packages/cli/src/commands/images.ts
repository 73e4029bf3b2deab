import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { list, text, toggle } from '../flags/flag.ts';
import type { Filters } from '../format/filter.ts';
import { formatListing } from '../format/listing.ts';
import { print } from '../output.ts';
import { imageMatches, imageRows, matchesPattern, parseImageFilters } from './image-row.ts';

const HEADINGS = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
};

export const command: Command = defineCommand({
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  summary: 'List images',
  aliases: ['tsc image ls', 'tsc image list', 'tsc images'],
  flags: {
    all: toggle('Show all images (there are no intermediate ones to hide)', { short: 'a' }),
    digests: toggle('Show digests'),
    filter: list('Filter output based on conditions provided', { short: 'f', valueName: 'filter' }),
    format: text("Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
    'no-trunc': toggle("Don't truncate output"),
    quiet: toggle('Only show image IDs', { short: 'q' }),
  },
  notYet: ['tree'],
  least: 0,
  most: 1,
  run: ({ values, positional: [wanted], surroundings }) => {
    const filters = parseImageFilters(values.filter);
    return withEngine(surroundings, async (engine) => {
      const moment = async (key: string): Promise<Date | undefined> => createdOf(engine.images, filters, key);
      const bounds = { before: await moment('before'), since: await moment('since') };
      const now = new Date();
      const shown = (await engine.images.list())
        .filter((image) => imageMatches(image, filters, bounds))
        .map((image) => ({
          ...image,
          names: image.names.filter((name) => wanted === undefined || matchesPattern(name, wanted)),
        }))
        .filter(({ names }) => wanted === undefined || names.length > 0);
      const rows = shown.flatMap((image) => imageRows(image, { now, truncate: !values['no-trunc'] }));
      const digest = values.digests ? '\t{{.Digest}}' : '';
      const columns = `{{.Repository}}\t{{.Tag}}${digest}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;
      const listing = { columns, headings: HEADINGS, rows, idField: 'ID' };
      print(formatListing(listing, { format: values.format, quiet: values.quiet }));
      return 0;
    });
  },
});

async function createdOf(
  images: { resolve(reference: string): Promise<{ readonly created: string | undefined }> },
  filters: Filters,
  key: string,
): Promise<Date | undefined> {
  const reference = filters.get(key)?.at(-1);
  return reference === undefined ? undefined : new Date((await images.resolve(reference)).created ?? 0);
}
