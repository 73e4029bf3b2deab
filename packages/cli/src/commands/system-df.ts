import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { text, toggle } from '../flags/flag.ts';
import { formatListing } from '../format/listing.ts';
import { compileTemplate } from '../format/template/evaluate.ts';
import { print } from '../output.ts';
import { detailRows, formatDetails, summaryRows } from './system-df-row.ts';

const COLUMNS = '{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}';
const HEADINGS = {
  Type: 'TYPE',
  TotalCount: 'TOTAL',
  Active: 'ACTIVE',
  Size: 'SIZE',
  Reclaimable: 'RECLAIMABLE',
};

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show disk usage',
  aliases: ['tsc system df'],
  flags: {
    format: text("Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
    verbose: toggle('Show detailed information on space usage', { short: 'v' }),
  },
  least: 0,
  most: 0,
  run: ({ values: { format, verbose }, surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const usage = await engine.diskUsage();
      if (!verbose) {
        const listing = { columns: COLUMNS, headings: HEADINGS, rows: summaryRows(usage), idField: 'Type' };
        print(formatListing(listing, { format }));
        return 0;
      }
      const isTable = format === undefined || format === '' || format === 'table';
      const details = detailRows(usage, {
        images: await engine.images.list(),
        containers: engine.listContainers({ all: true }),
        now: new Date(),
        truncate: isTable,
      });
      if (isTable) print(formatDetails(details));
      else print(`${compileTemplate(format === 'json' ? '{{json .}}' : format)(details)}\n`);
      return 0;
    }),
});
