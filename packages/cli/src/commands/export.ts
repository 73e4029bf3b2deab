import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { requireNoTerminal, writeArchive } from '../copy/output.ts';
import { text } from '../flags/flag.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  summary: "Export a container's filesystem as a tar archive",
  aliases: ['tsc container export', 'tsc export'],
  flags: { output: text('Write to a file, instead of STDOUT', { short: 'o' }) },
  least: 1,
  most: 1,
  run: ({ values: { output }, positional: [reference = ''], surroundings }) => {
    requireNoTerminal(output);
    return withEngine(surroundings, async (engine) => {
      await writeArchive(await engine.container(reference).exportArchive(), output);
      return 0;
    });
  },
});
