import { statSync } from 'node:fs';
import { posix } from 'node:path';
import { Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Container, PathStat } from '@tsc/engine';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, failed, notSupported } from '../errors.ts';
import { toggle } from '../flags/flag.ts';
import { humanSize } from '../format/size.ts';
import { note } from '../output.ts';
import { packSource, probeSource } from '../copy/pack.ts';
import { placeArchive } from '../copy/place.ts';
import { baseName, parsePlace, planCopy } from '../copy/plan.ts';
import type { CopyDestination, CopyPlace } from '../copy/plan.ts';

interface Options {
  readonly archive: boolean;
  readonly followLink: boolean;
}

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\ttsc cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  summary:
    'Copy files/folders between a container and the local filesystem\n\n' +
    "Use '-' as the source to read a tar archive from stdin and extract it to a directory destination in a\n" +
    "container. Use '-' as the destination to stream a tar archive of a container source to stdout.",
  aliases: ['tsc container cp', 'tsc cp'],
  flags: {
    archive: toggle('Archive mode (copy all uid/gid information)', { short: 'a' }),
    'follow-link': toggle('Always follow symbol link in SRC_PATH', { short: 'L' }),
    quiet: toggle('Suppress progress output during copy', { short: 'q' }),
  },
  least: 2,
  most: 2,
  run: async ({ values, positional: [from = '', to = ''], surroundings }) => {
    if (from === '' || to === '') throw badValue('neither source nor destination can be empty');
    const [source, destination] = [parsePlace(from), parsePlace(to)];
    const options = { archive: values.archive, followLink: values['follow-link'] };
    const bytes = await withEngine(surroundings, (engine) => {
      if (source.type === 'container') {
        if (destination.type === 'container') throw notSupported('copying between containers');
        return copyOut(engine.container(source.reference), source.path, { destination, options });
      }
      if (destination.type !== 'container') throw badValue('must specify at least one container source');
      return copyIn(engine.container(destination.reference), destination.path, { source, options });
    });
    if (!values.quiet && process.stdout.isTTY) note(`Successfully copied ${humanSize(bytes)} to ${to}`);
    return 0;
  },
});

async function copyOut(
  container: Container,
  path: string,
  { destination, options }: { destination: Exclude<CopyPlace, { type: 'container' }>; options: Options },
): Promise<number> {
  const resolved = options.followLink ? (await followLinks(container, path)).path : path;
  const counter = countBytes();
  const { stat, archive } = await container.readArchive(resolved.replace(/\/\.?$/, '') || '/');
  if (destination.type === 'stream') {
    await pipeline(archive, counter.stream, process.stdout, { end: false });
    return counter.bytes();
  }
  try {
    const target = statSync(destination.path, { throwIfNoEntry: false });
    const plan = planCopy(
      { path, isDirectory: stat.type === 'directory' },
      { path: destination.path, exists: target !== undefined, isDirectory: target?.isDirectory() ?? false },
    );
    archive.on('error', (error) => counter.stream.destroy(error)).pipe(counter.stream);
    await placeArchive(counter.stream, plan, { keepOwners: options.archive, memberName: stat.name });
  } finally {
    archive.destroy();
  }
  return counter.bytes();
}

async function copyIn(
  container: Container,
  path: string,
  { source, options }: { source: Exclude<CopyPlace, { type: 'container' }>; options: Options },
): Promise<number> {
  const { path: resolved, stat } = await followLinks(container, path);
  const destination: CopyDestination = {
    path: resolved,
    exists: stat !== undefined,
    isDirectory: stat?.type === 'directory',
  };
  const counter = countBytes();
  let directory = resolved;
  let archive: Readable = process.stdin;
  if (source.type === 'stream') {
    if (!destination.isDirectory) throw failed(`destination "${container.name}:${path}" must be a directory`);
  } else {
    const local = probeSource(source.path, options.followLink);
    // `.` and `..` are copied by the name of the directory that they are, unless their contents are meant.
    const plan = planCopy(local, destination);
    directory = plan.directory;
    archive = packSource(local, plan.name ?? (local.isDirectory ? undefined : baseName(source.path)));
  }
  archive.on('error', (error) => counter.stream.destroy(error)).pipe(counter.stream);
  // An archive on standard input says itself whose its files are.
  const copyUidGid = options.archive || source.type === 'stream';
  await container.writeArchive(directory, counter.stream, { copyUidGid });
  return counter.bytes();
}

const MAX_LINKS = 40;

/** Follows the last component of a path inside the container as long as it is a link. */
async function followLinks(
  container: Container,
  path: string,
): Promise<{ readonly path: string; readonly stat: PathStat | undefined }> {
  let current = path;
  for (let followed = 0; followed < MAX_LINKS; followed++) {
    const stat = await container.statPath(current);
    if (stat?.type !== 'symlink' || stat.linkTarget === undefined) return { path: current, stat };
    current = posix.resolve(posix.dirname(current), stat.linkTarget);
  }
  throw failed(`too many levels of symbolic links: ${path}`);
}

function countBytes(): { readonly stream: Transform; readonly bytes: () => number } {
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  return { stream, bytes: () => bytes };
}
