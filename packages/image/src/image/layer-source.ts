import { lstatSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { ImageError, quote } from '../errors.ts';
import { layerMediaType } from '../layer/compression.ts';
import { packLayer, type Ownership, type PackOptions } from '../layer/pack.ts';
import { walkDirectory, type SourceMember } from '../layer/source-tree.ts';
import { readLayer } from '../layer/unpack.ts';
import type { OpenOptions } from './blob.ts';
import { openRegularFile, streamFile } from './file-range.ts';
import type { Layer } from './image.ts';
import { recompressLayer } from './recompress.ts';
import { NO_SINK } from './verified-layer.ts';

export interface DirectoryLayerOptions extends PackOptions {
  /** The permissions to write for a member, of its name in the directory, type and permissions; default: what it has. */
  readonly mode?: ((member: Pick<SourceMember, 'name' | 'type' | 'mode'>) => number) | undefined;
}

/** A file or directory to put into a layer. */
export interface FileEntry {
  /** Place in the image. */
  readonly path: string;
  /** The file's bytes; text is written as UTF-8. */
  readonly content?: string | Uint8Array | undefined;
  /** Or a file on this machine to read them from. */
  readonly sourcePath?: string | undefined;
  /** Or the target of a symbolic link. None of the three makes a directory. */
  readonly linkTarget?: string | undefined;
  /** Default: the source file's permissions, else 0644 for a file and 0755 for a directory. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Default: 1970. */
  readonly mtime?: Date | undefined;
}

export interface FilesLayerOptions extends Ownership {
  readonly signal?: AbortSignal | undefined;
  readonly compression?: PackOptions['compression'];
}

/** Reads the source once for its hashes; opening the layer reads it again, so nothing is copied. */
const layerOf = async (source: () => string | Iterable<SourceMember>, options: PackOptions): Promise<Layer> => {
  const { stream, packed } = packLayer(source(), options);
  stream.resume();
  const { digest, size, diffId, compression } = await packed;
  return {
    descriptor: { mediaType: layerMediaType(compression), digest, size },
    diffId,
    open: ({ signal } = {}) => packLayer(source(), { ...options, signal }).stream,
  };
};

/**
 * A layer with the files of a directory, by default at the root of the image.
 *
 * The directory is read now for the digests and again by whoever stores the layer, who refuses it
 * (`CONTENT_MISMATCH`) if the files changed meanwhile.
 *
 * @example appendLayer(image, await layerFromDirectory('dist', { targetPath: '/app', uid: 0, gid: 0, mtime: new Date(0) }))
 */
export const layerFromDirectory = (dir: string, options: DirectoryLayerOptions = {}): Promise<Layer> => {
  const { mode } = options;
  return layerOf(() => (mode === undefined ? dir : withModes(walkDirectory(dir, options), mode)), options);
};

function* withModes(
  members: Iterable<SourceMember>,
  mode: NonNullable<DirectoryLayerOptions['mode']>,
): Generator<SourceMember, void, void> {
  for (const member of members) yield { ...member, mode: mode(member) & 0o7777 };
}

/** A layer with the members that `source` gives each time it is called: now for the digests, again for whoever stores it. */
export const layerFromMembers = (
  source: () => Iterable<SourceMember>,
  options: Pick<PackOptions, 'signal' | 'compression'> = {},
): Promise<Layer> => layerOf(source, options);

export interface TarLayerOptions {
  /** Default: as it is. */
  readonly compression?: PackOptions['compression'];
  readonly signal?: AbortSignal | undefined;
}

/**
 * A layer of a tar archive that is there already: plain, gzip or zstd, taken byte for byte. It is read now for the
 * digests, and again whenever the layer is opened, so a stream that comes once must be put into a file first.
 *
 * @param source - a file, or what opens the archive each time it is called
 * @throws {@link ImageError} `LAYER_INVALID`, `LAYER_LIMIT`, `COMPRESSION_UNSUPPORTED`
 */
export const layerFromTar = async (
  source: string | ((options: OpenOptions) => Readable),
  { compression, signal }: TarLayerOptions = {},
): Promise<Layer> => {
  signal?.throwIfAborted();
  const open = typeof source === 'string' ? (options: OpenOptions = {}) => openTar(source, options) : source;
  const stream = open({ signal });
  try {
    const read = await readLayer(stream, NO_SINK, { signal });
    const { digest, size, diffId } = read;
    const descriptor = { mediaType: layerMediaType(read.compression), digest, size };
    const layer: Layer = { descriptor, diffId, open: (options = {}) => open(options) };
    return compression === undefined || compression === read.compression
      ? layer
      : await recompressLayer(layer, compression, { signal });
  } finally {
    stream.destroy();
  }
};

const openTar = (file: string, options: OpenOptions): Readable =>
  streamFile(() => openRegularFile(file), Number.MAX_SAFE_INTEGER - 1, options);

/**
 * A layer with the files listed, and the directories that lead to them. What the options say of owner and time counts for
 * all files; the default owner is root, the default time 1970.
 */
export const layerFromFiles = (files: readonly FileEntry[], options: FilesLayerOptions = {}): Promise<Layer> =>
  layerOf(() => filesToMembers(files), options);

const kindOf = (file: FileEntry): Pick<SourceMember, 'type' | 'size' | 'mode' | 'content' | 'path' | 'linkName'> => {
  if (file.linkTarget !== undefined) return { type: 'symlink', size: 0, mode: 0o777, linkName: file.linkTarget };
  if (file.sourcePath !== undefined) {
    const stat = lstatSync(file.sourcePath);
    if (!stat.isFile())
      throw new ImageError('LAYER_INVALID', `cannot put ${quote(file.sourcePath)} into a layer: it is no file`, {
        path: file.sourcePath,
      });
    return { type: 'file', size: stat.size, mode: stat.mode & 0o7777, path: file.sourcePath };
  }
  if (file.content === undefined) return { type: 'directory', size: 0, mode: 0o755 };
  const content = Buffer.from(file.content as string);
  return { type: 'file', size: content.length, mode: 0o644, content };
};

const filesToMembers = (files: readonly FileEntry[]): readonly SourceMember[] => {
  const members = new Map<string, SourceMember>();
  for (const file of files) {
    const parts = file.path.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..'))
      throw new ImageError('LAYER_UNSAFE', `refused ${quote(file.path)}: it contains ".."`, { path: file.path });
    for (let depth = 1; depth < parts.length; depth += 1) {
      const name = parts.slice(0, depth).join('/');
      if (!members.has(name))
        members.set(name, { type: 'directory', name, mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n });
    }
    const { mode, ...kind } = kindOf(file);
    const name = parts.join('/');
    const { uid = 0, gid = 0, mtime } = file;
    const mtimeNs = BigInt(mtime?.getTime() ?? 0) * 1_000_000n;
    members.set(name, { ...kind, mode: file.mode ?? mode, name, uid, gid, mtimeNs });
  }
  return [...members.values()].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
};
