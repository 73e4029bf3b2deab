import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { codeOf, forEach, oneLine } from '../failure.ts';
import { toggle } from '../flags/flag.ts';
import { note, printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Remove one or more containers',
  aliases: ['tsc container rm', 'tsc container remove', 'tsc rm'],
  flags: {
    force: toggle('Force the removal of a running container (uses SIGKILL)', { short: 'f' }),
    volumes: toggle('Remove anonymous volumes associated with the container', { short: 'v' }),
  },
  notYet: ['link', 'l'],
  least: 1,
  run: ({ values: { force, volumes }, positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        try {
          await engine.container(reference).remove({ force, volumes });
        } catch (error) {
          // With --force the wish is that it be gone, and it is: said, and no failure.
          if (!force || !Error.isError(error) || codeOf(error) !== 'ENGINE_NO_SUCH_CONTAINER') throw error;
          note(`tsc: ${oneLine(error.message)}`);
          return;
        }
        printLine(reference);
      }),
    ),
});
