import type { ImageStore } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { list, text, toggle } from '../flags/flag.ts';
import type { Filters } from '../format/filter.ts';
import { formatListing } from '../format/listing.ts';
import { print } from '../output.ts';
import { parseTimestamp } from '../words/timestamp.ts';
import { imageMatches, imageRows, narrowNames, parseImageFilters } from './image-row.ts';

const HEADINGS = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  VirtualSize: 'SIZE',
  SharedSize: 'SHARED SIZE',
  UniqueSize: 'UNIQUE SIZE',
  Containers: 'CONTAINERS',
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
    const now = new Date();
    const filters = parseImageFilters(values.filter);
    const until = filters.get('until')?.at(-1);
    const latest = until === undefined ? undefined : parseTimestamp(until, now);
    const patterns = [...(filters.get('reference') ?? []), ...(wanted === undefined ? [] : [wanted])];
    const digests = values.digests || /\{\{[^}]*\.Digest\b/.test(values.format ?? '');
    return withEngine(surroundings, async (engine) => {
      const before = await createdOf(engine.images, filters, 'before');
      const since = await createdOf(engine.images, filters, 'since');
      const bounds = { before: earlier(before, latest), since };
      const rows = (await engine.images.list())
        .filter((image) => imageMatches(image, filters, bounds))
        .map((image) => narrowNames(image, patterns))
        .filter(({ names, repoDigests }) => patterns.length === 0 || names.length + repoDigests.length > 0)
        .flatMap((image) => imageRows(image, { now, truncate: !values['no-trunc'], digests }));
      const digest = values.digests ? '\t{{.Digest}}' : '';
      const columns = `{{.Repository}}\t{{.Tag}}${digest}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;
      const listing = { columns, headings: HEADINGS, rows, idField: 'ID' };
      print(formatListing(listing, { format: values.format, quiet: values.quiet }));
      return 0;
    });
  },
});

const earlier = (a: Date | undefined, b: Date | undefined): Date | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a;

/** When the image that a `before` or `since` filter names was made. */
async function createdOf(images: ImageStore, filters: Filters, key: string): Promise<Date | undefined> {
  const reference = filters.get(key)?.at(-1);
  return reference === undefined ? undefined : new Date((await images.resolve(reference)).created ?? 0);
}
