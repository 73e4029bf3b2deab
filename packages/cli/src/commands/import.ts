import { importImage } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { openInput } from '../copy/input.ts';
import { notSupported } from '../errors.ts';
import { list, text } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { readPlatform } from '../request/reference.ts';

/** What Docker's client says of where a file came from, which it reads itself. */
const FROM_STREAM = 'Imported from -';

export const command: Command = defineCommand({
  usage: '[OPTIONS] file|- [REPOSITORY[:TAG]]',
  summary: 'Import the contents from a tarball to create a filesystem image',
  aliases: ['tsc image import', 'tsc import'],
  flags: {
    change: list('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: text('Set commit message for imported image', { short: 'm' }),
    platform: text('Set platform of the image'),
  },
  least: 1,
  most: 2,
  run: async ({ values, positional: [source = '', reference], surroundings }) => {
    if (/^https?:\/\//.test(source)) throw notSupported('importing from a URL');
    const platform = readPlatform(values.platform);
    using input = openInput(source === '-' ? undefined : source);
    return await withEngine(surroundings, async (engine) => {
      const { change: changes } = values;
      const message = values.message === undefined || values.message === '' ? FROM_STREAM : values.message;
      const { id } = await importImage(engine.images, input.stream, { reference, changes, message, platform });
      printLine(id);
      return 0;
    });
  },
});
