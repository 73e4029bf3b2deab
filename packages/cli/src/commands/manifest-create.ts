import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { toggle } from '../flags/flag.ts';
import { fetchEntry } from '../manifest-list/entry.ts';
import type { ListEntry } from '../manifest-list/entry.ts';
import { openListStore } from '../manifest-list/store.ts';
import { printLine } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { readReference } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
  summary: 'Create a local manifest list for annotating and pushing to a registry',
  aliases: ['tsc manifest create'],
  flags: {
    amend: toggle('Amend an existing manifest list', { short: 'a' }),
    insecure: toggle('Allow communication with an insecure registry'),
  },
  least: 2,
  unprivileged: true,
  run: async ({ values: { amend, insecure }, positional: [listWord = '', ...words] }) => {
    const target = readReference(listWord);
    const manifests = words.map(readReference);
    const lists = openListStore();
    if (lists.read(target.full) !== undefined && !amend) {
      throw failed('refusing to amend an existing manifest list with no --amend flag');
    }
    const domains = insecure ? manifests.map(({ reference }) => reference.domain) : [];
    const entries = await withRegistries(
      async (client) => {
        const found: ListEntry[] = [];
        for (const { full, reference } of manifests) {
          const known = lists.find(target.full, full);
          found.push(known?.bytes === undefined ? await fetchEntry(client, reference) : known);
        }
        return found;
      },
      { insecureDomains: domains },
    );
    for (const entry of entries) lists.save(target.full, entry);
    printLine(`Created manifest list ${target.full}`);
    return 0;
  },
});
