import { createWriteStream, renameSync, rmSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';

/** Refuses to fill a terminal with an archive. */
export function requireNoTerminal(output: string | undefined): void {
  if (output !== undefined || !process.stdout.isTTY) return;
  throw failed('cowardly refusing to save to a terminal. Use the -o flag or redirect');
}

/** Writes an archive to a file, or to standard output. Under its final name the file is whole, or it isn't there. */
export async function writeArchive(archive: Readable, path: string | undefined): Promise<void> {
  if (path === undefined) {
    await pipeline(archive, process.stdout, { end: false });
    return;
  }
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
