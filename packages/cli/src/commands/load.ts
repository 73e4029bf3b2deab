import { basename } from 'node:path';

import { formatFamiliarReference, loadArchive, parseReference } from '@tsc/image';
import type { ImageStore, LoadedImage, Platform } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { openInput } from '../copy/input.ts';
import type { Input } from '../copy/input.ts';
import { oneLine } from '../failure.ts';
import { text, toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { openView, silentView } from '../progress/view.ts';
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
      const shown = { name: basename(values.input ?? 'stdin'), quiet: values.quiet };
      for (const { id, names } of await loadShown(engine.images, input, { ...shown, platform })) {
        if (names.length === 0) printLine(`Loaded image ID: ${id}`);
        for (const name of names) printLine(`Loaded image: ${formatFamiliarReference(parseReference(name))}`);
      }
      return 0;
    });
  },
});

interface LoadRequest {
  readonly name: string;
  readonly quiet: boolean;
  readonly platform: Platform | undefined;
}

/** Loads an archive; on a terminal a bar shows how much of it is read. */
async function loadShown(
  images: ImageStore,
  { stream, sizeBytes }: Input,
  { name, quiet, platform }: LoadRequest,
): Promise<readonly LoadedImage[]> {
  using view = quiet ? silentView : openView(process.stdout);
  const bytes = metered(stream, (current) => {
    view.show({ id: oneLine(name), status: 'Loading', bytes: { current, total: sizeBytes }, finished: false });
  });
  return await loadArchive(images, bytes, { platform });
}

/** The same bytes; `show` is told how many there were so far. */
async function* metered(stream: AsyncIterable<Uint8Array>, show: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    show(bytes);
    yield chunk;
  }
}
