import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { codeOf, forEach, oneLine } from '../failure.ts';
import { toggle } from '../flags/flag.ts';
import { note, printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove one or more images',
  aliases: ['tsc image rm', 'tsc image remove', 'tsc rmi'],
  flags: { force: toggle('Force removal of the image', { short: 'f' }) },
  notYet: ['no-prune', 'platform'],
  least: 1,
  run: ({ values: { force }, positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        try {
          const { untagged, deleted } = await engine.removeImage(reference, { force });
          for (const name of untagged) printLine(`Untagged: ${name}`);
          for (const digest of deleted) printLine(`Deleted: ${digest}`);
        } catch (error) {
          if (!force || !Error.isError(error) || codeOf(error) !== 'IMAGE_NOT_FOUND') throw error;
          note(`tsc: ${oneLine(error.message)}`);
        }
      }),
    ),
});
