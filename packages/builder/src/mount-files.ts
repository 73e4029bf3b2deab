import { layerFromFiles } from '@tsc/image';
import type { Layer } from '@tsc/image';
import { walkSource } from './copy-sources.ts';
import type { SourceTree } from './copy-sources.ts';
import { BuilderError } from './errors.ts';
import { resolveInTree, treePath } from './file-tree.ts';
import type { TreeEntry } from './file-tree.ts';
import { isIgnored } from './ignore-file.ts';
import { layerEntries } from './stage-state.ts';

/** The files that a RUN mounts, as they were when it began. */
export interface MountFiles {
  readonly type: 'directory' | 'file';
  /** A directory's content, the directory itself being `./`; or a file, named `file`. */
  readonly layer: Layer;
}

/**
 * The files at a path of the context, a stage or an image. Links are followed inside it, as in COPY, so that none leads to
 * the host's files; what `.dockerignore` leaves out is left out.
 *
 * @throws {@link BuilderError} `BUILDER_SOURCE_NOT_FOUND`
 */
export async function filesToMount(
  source: SourceTree | undefined,
  path: string,
  signal: AbortSignal | undefined,
): Promise<MountFiles> {
  if (source === undefined)
    throw new BuilderError('BUILDER_CONTEXT', `cannot mount ${path}: there is no build context`);
  const { path: real, entry } = resolveInTree(source.tree, treePath(path), { followLast: true });
  const hidden = entry?.type === 'file' && source.ignore !== undefined && isIgnored(source.ignore, real);
  if (entry === undefined || hidden || (entry.type !== 'directory' && entry.type !== 'file')) {
    throw new BuilderError('BUILDER_SOURCE_NOT_FOUND', `cannot mount ${path}: not in ${source.name}`);
  }
  const files =
    entry.type === 'file' ? [['file', entry] as const] : [['', entry] as const, ...walkSource(source, real)];
  const known = files.filter((file): file is readonly [string, TreeEntry] => file[1].type !== 'other');
  return { type: entry.type, layer: await layerFromFiles(layerEntries(new Map(known)), { signal }) };
}
