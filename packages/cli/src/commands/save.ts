import { formatPlatform, saveArchive } from '@tsc/image';
import type { ImageStore, Platform } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { requireNoTerminal, writeArchive } from '../copy/output.ts';
import { failed } from '../errors.ts';
import { text } from '../flags/flag.ts';
import { readPlatform } from '../request/reference.ts';
import { splitName } from './image-row.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['tsc image save', 'tsc save'],
  flags: {
    output: text('Write to a file, instead of STDOUT', { short: 'o' }),
    platform: text('Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
  },
  least: 1,
  run: async ({ values, positional, surroundings }) => {
    const { output } = values;
    requireNoTerminal(output);
    const platform = readPlatform(values.platform);
    return withEngine(surroundings, async (engine) => {
      if (platform !== undefined) for (const word of positional) await requirePlatform(engine.images, word, platform);
      await writeArchive(saveArchive(engine.images, positional), output);
      return 0;
    });
  },
});

/** The store has one platform of an image: it is the one that was asked for, or there is nothing to save. */
async function requirePlatform(images: ImageStore, word: string, platform: Platform): Promise<void> {
  const wanted = formatPlatform(platform);
  const named = (await images.list()).filter(({ names }) => names.some((name) => splitName(name).repository === word));
  for (const { config } of named.length > 0 ? named : [await images.resolve(word)]) {
    const stored = formatPlatform(config);
    if (stored === wanted) continue;
    throw failed(`image ${word} was found but does not provide the platform ${wanted}: it is for ${stored}`);
  }
}
