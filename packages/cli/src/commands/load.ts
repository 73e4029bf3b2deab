import { formatFamiliarReference, loadArchive, parseReference } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { openInput } from '../copy/input.ts';
import { text, toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { openView } from '../progress/view.ts';
import { readPlatform } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Load an image from a tar archive or STDIN',
  aliases: ['tsc image load', 'tsc load'],
  flags: {
    input: text('Read from tar archive file, instead of STDIN', { short: 'i' }),
    platform: text('Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
    quiet: toggle('Suppress the load output', { short: 'q' }),
  },
  least: 0,
  most: 0,
  run: async ({ values, surroundings }) => {
    const platform = readPlatform(values.platform);
    using input = openInput(values.input);
    return await withEngine(surroundings, async (engine) => {
      // A file is read where it lies, without a copy of it.
      const source = values.input ?? (values.quiet ? input.stream : metered(input.stream));
      for (const { id, names } of await loadArchive(engine.images, source, { platform })) {
        if (names.length === 0) printLine(`Loaded image ID: ${id}`);
        for (const name of names) printLine(`Loaded image: ${formatFamiliarReference(parseReference(name))}`);
      }
      return 0;
    });
  },
});

/** The same bytes; a terminal shows how many there were so far. */
async function* metered(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  using view = openView(process.stdout);
  let current = 0;
  for await (const chunk of stream) {
    current += chunk.length;
    view.show({ id: 'stdin', status: 'Loading', bytes: { current, total: 0 }, finished: false });
    yield chunk;
  }
}
