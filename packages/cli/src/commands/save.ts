import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { requireNoTerminal, writeArchive } from '../copy/output.ts';
import { text } from '../flags/flag.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['tsc image save', 'tsc save'],
  flags: { output: text('Write to a file, instead of STDOUT', { short: 'o' }) },
  notYet: ['platform'],
  least: 1,
  run: async ({ values: { output }, positional, surroundings }) => {
    requireNoTerminal(output);
    const { saveArchive } = await import('@tsc/image');
    return withEngine(surroundings, async (engine) => {
      await writeArchive(saveArchive(engine.images, positional), output);
      return 0;
    });
  },
});
