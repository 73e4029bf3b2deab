import { createWriteStream, renameSync, rmSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';
import { text } from '../flags/flag.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['tsc image save', 'tsc save'],
  flags: { output: text('Write to a file, instead of STDOUT', { short: 'o' }) },
  notYet: ['platform'],
  least: 1,
  run: async ({ values: { output }, positional, surroundings }) => {
    if (output === undefined && process.stdout.isTTY) {
      throw failed('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    const { saveArchive } = await import('@tsc/image');
    return withEngine(surroundings, async (engine) => {
      const archive = saveArchive(engine.images, positional);
      if (output === undefined) await pipeline(archive, process.stdout, { end: false });
      else await writeWhole(archive, output);
      return 0;
    });
  },
});

/** Under its final name the archive is whole, or it isn't there. */
async function writeWhole(archive: Readable, path: string): Promise<void> {
  const beside = `${path}.tsc-${process.pid}`;
  try {
    await pipeline(archive, createWriteStream(beside, { flags: 'wx', mode: 0o600 }));
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    if (!Error.isError(error) || !('syscall' in error)) throw error;
    throw failed(`failed to save to ${path}: ${codeOf(error) ?? error.message}`, error);
  }
}
