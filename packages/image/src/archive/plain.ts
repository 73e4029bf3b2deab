import { closeSync, constants, openSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { tarStream, type Ownership } from '../layer/pack.ts';
import type { SourceMember } from '../layer/source-tree.ts';
import { TreeWriter, type TreeWriterOptions } from '../layer/tree-writer.ts';
import { openSource, readLayer, type ByteSource, type UnpackOptions } from '../layer/unpack.ts';

export interface UnpackArchiveOptions extends UnpackOptions, Omit<TreeWriterOptions, 'form'> {}

/**
 * Unpacks an archive (tar, plain or by gzip or zstd) into an existing directory, which may have something in it: files
 * are replaced, directories merged. Unlike in a layer, no name has a meaning: `.wh.x` is a file.
 *
 * Links of the archive and of the target lead nowhere but below the target; what is mounted below it counts as part of
 * it. The target's own mode and owner stay, unless `applyRoot` lets a member `./` change them. After an error a part is
 * there.
 *
 * @throws {@link ImageError} as `unpackLayer`, and `ARCHIVE_CONFLICT`: a directory in the place of something else, or the
 *   other way round
 * @remarks Privilege: as `unpackLayer`.
 */
export const unpackArchive = async (
  source: ByteSource,
  targetDir: string,
  options: UnpackArchiveOptions = {},
): Promise<{ readonly entries: number; readonly contentBytes: number }> => {
  const { applyRoot, owner } = options;
  const rootFd = openSync(targetDir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await using writer = new TreeWriter(rootFd, { form: 'plain', applyRoot, owner });
    const { contentBytes } = await readLayer(openSource(source), writer, options);
    await writer.finish();
    return { entries: writer.entries, contentBytes };
  } finally {
    closeSync(rootFd);
  }
};

export interface PackArchiveOptions extends Ownership {
  /** What the source directory is called in the archive; its contents stand alone without. */
  readonly targetPath?: string | undefined;
  /** What is mounted in the directory is left out. */
  readonly oneMount?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Packs a directory, or members, into a plain tar archive: {@link unpackArchive}'s counterpart. Sockets are left out.
 *
 * @throws {@link ImageError} through the stream: `LAYER_FAILED` a file changed meanwhile
 * @remarks Privilege: reading the files.
 */
export const packArchive = (source: string | Iterable<SourceMember>, options: PackArchiveOptions = {}): Readable => {
  options.signal?.throwIfAborted();
  return tarStream(source, options);
};
