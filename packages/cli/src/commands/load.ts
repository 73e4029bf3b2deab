import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { openInput } from '../copy/input.ts';
import { text, toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Load an image from a tar archive or STDIN',
  aliases: ['tsc image load', 'tsc load'],
  flags: {
    input: text('Read from tar archive file, instead of STDIN', { short: 'i' }),
    quiet: toggle('Suppress the load output', { short: 'q' }),
  },
  notYet: ['platform'],
  least: 0,
  most: 0,
  run: async ({ values, surroundings }) => {
    const { formatFamiliarReference, loadArchive, parseReference } = await import('@tsc/image');
    using input = openInput(values.input);
    return await withEngine(surroundings, async (engine) => {
      for (const { id, names } of await loadArchive(engine.images, input.stream)) {
        if (names.length === 0) printLine(`Loaded image ID: ${id}`);
        for (const name of names) printLine(`Loaded image: ${formatFamiliarReference(parseReference(name))}`);
      }
      return 0;
    });
  },
});
