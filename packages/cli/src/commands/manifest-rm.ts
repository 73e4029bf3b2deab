import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { forEach } from '../failure.ts';
import { noSuchList, openListStore } from '../manifest-list/store.ts';
import { readReference } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
  summary: 'Delete one or more manifest lists from local storage',
  aliases: ['tsc manifest rm'],
  flags: {},
  least: 1,
  unprivileged: true,
  run: ({ positional, surroundings }) => {
    const lists = openListStore();
    return forEach(positional, surroundings.calledAs, (word) => {
      const { full } = readReference(word);
      if (lists.read(full) === undefined) throw noSuchList(full);
      lists.remove(full);
      return Promise.resolve();
    });
  },
});
