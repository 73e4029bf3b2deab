import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, notSupported } from '../errors.ts';
import { list, text, value } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { openInput } from '../copy/input.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] file|- [REPOSITORY[:TAG]]',
  summary: 'Import the contents from a tarball to create a filesystem image',
  aliases: ['tsc image import', 'tsc import'],
  flags: {
    change: list('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: text('Set commit message for imported image', { short: 'm' }),
    platform: value('Set platform of the image', parsePlatform),
  },
  least: 1,
  most: 2,
  run: async ({ values, positional: [source = '', reference], surroundings }) => {
    if (/^https?:\/\//.test(source)) throw notSupported('importing from a URL');
    const { importImage } = await import('@tsc/image');
    using input = openInput(source === '-' ? undefined : source);
    return await withEngine(surroundings, async (engine) => {
      const { change: changes, message, platform } = values;
      const { id } = await importImage(engine.images, input.stream, { reference, changes, message, platform });
      printLine(id);
      return 0;
    });
  },
});

function parsePlatform(word: string): { os: string; architecture: string; variant?: string } {
  const [os = '', architecture = '', variant, ...more] = word.split('/');
  if (os === '' || architecture === '' || more.length > 0) throw badValue(`"${word}" is not os/architecture[/variant]`);
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}
