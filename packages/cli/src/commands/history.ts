import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { text, toggle } from '../flags/flag.ts';
import { formatListing } from '../format/listing.ts';
import { print } from '../output.ts';
import { historyRows } from './history-row.ts';

const HEADINGS = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  Size: 'SIZE',
  Comment: 'COMMENT',
};

export const command: Command = defineCommand({
  usage: '[OPTIONS] IMAGE',
  summary: 'Show the history of an image',
  aliases: ['tsc image history', 'tsc history'],
  flags: {
    format: text("Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
    human: toggle('Print sizes and dates in human readable format', { short: 'H', initial: true }),
    'no-trunc': toggle("Don't truncate output"),
    quiet: toggle('Only show image IDs', { short: 'q' }),
  },
  notYet: ['platform'],
  least: 1,
  most: 1,
  run: ({ values: { format, human, quiet, 'no-trunc': whole }, positional: [reference = ''], surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const image = await engine.images.resolve(reference);
      const created = human ? '{{.CreatedSince}}' : '{{.CreatedAt}}';
      const columns = `{{.ID}}\t${created}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`;
      const rows = historyRows(image, { now: new Date(), truncate: !whole, human });
      print(formatListing({ columns, headings: HEADINGS, rows, idField: 'ID' }, { format, quiet }));
      return 0;
    }),
});
