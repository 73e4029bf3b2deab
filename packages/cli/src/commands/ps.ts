import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { integer, list, text, toggle } from '../flags/flag.ts';
import { formatListing } from '../format/listing.ts';
import { print } from '../output.ts';
import { asksForAll, parseContainerFilters, selectContainers } from './ps-filter.ts';
import { containerRow } from './ps-row.ts';

const COLUMNS = '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}';

const HEADINGS = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  RunningFor: 'CREATED',
  Status: 'STATUS',
  State: 'STATE',
  Ports: 'PORTS',
  Names: 'NAMES',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  Networks: 'NETWORKS',
};

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List containers',
  aliases: ['tsc container ls', 'tsc container list', 'tsc container ps', 'tsc ps'],
  flags: {
    all: toggle('Show all containers (default shows just running)', { short: 'a' }),
    filter: list('Filter output based on conditions provided', { short: 'f', valueName: 'filter' }),
    format: text("Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
    last: integer('Show n last created containers (includes all states)', { short: 'n', shownDefault: '-1' }),
    latest: toggle('Show the latest created container (includes all states)', { short: 'l' }),
    'no-trunc': toggle("Don't truncate output"),
    quiet: toggle('Only display container IDs', { short: 'q' }),
  },
  notYet: ['size', 's'],
  least: 0,
  most: 0,
  run: ({ values, surroundings }) => {
    const filters = parseContainerFilters(values.filter);
    const last = values.latest ? 1 : (values.last ?? -1);
    return withEngine(surroundings, (engine) => {
      const runningOnly = !values.all && last < 1 && !asksForAll(filters);
      const selected = selectContainers(engine.listContainers({ all: true }), filters)
        .filter(({ status }) => !runningOnly || status === 'running' || status === 'restarting')
        .slice(0, last < 1 ? undefined : last);
      const now = new Date();
      const rows = selected.map((container) => containerRow(container, { now, truncate: !values['no-trunc'] }));
      const listing = { columns: COLUMNS, headings: HEADINGS, rows, idField: 'ID' };
      print(formatListing(listing, { format: values.format, quiet: values.quiet }));
      return Promise.resolve(0);
    });
  },
});
