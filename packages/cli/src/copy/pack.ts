import { lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { Readable } from 'node:stream';

import { packArchive } from '@tsc/image';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';

export interface LocalSource {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly stat: BigIntStats;
}

/** Looks at what is to be copied; a link is itself, unless it is followed or written as a directory. */
export function probeSource(path: string, followLink: boolean): LocalSource {
  const follow = followLink || /\/\.?$/.test(path);
  try {
    const stat = follow ? statSync(path, { bigint: true }) : lstatSync(path, { bigint: true });
    return { path, isDirectory: stat.isDirectory(), stat };
  } catch (error) {
    const code = codeOf(error);
    throw failed(
      code === 'ENOENT' ? `no such file or directory: ${path}` : `cannot read ${path}: ${code ?? 'failed'}`,
      error,
    );
  }
}

/** A tar of a file or directory in which it is called `name`, or, without one, of a directory's contents. */
export function packSource(source: LocalSource, name: string | undefined): Readable {
  if (source.isDirectory) return packArchive(source.path, { targetPath: name });
  const { stat } = source;
  const common = {
    name: name ?? '',
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: stat.mtimeNs,
  };
  if (stat.isSymbolicLink()) {
    return packArchive([{ ...common, type: 'symlink', linkName: readlinkSync(source.path), size: 0 }]);
  }
  if (!stat.isFile()) throw failed(`cannot copy ${source.path}: it is neither a file, a directory nor a link`);
  const path = realpathSync(source.path);
  return packArchive([{ ...common, type: 'file', size: Number(stat.size), path }]);
}
