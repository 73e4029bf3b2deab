import { Readable } from 'node:stream';

import { decompress, detectStream } from '../layer/compression.ts';
import type { LayerLimits } from '../layer/unpack.ts';
import type { TarEntry, TarSink } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { encodeHeader, padding, TRAILER, type TarMember } from '../tar/writer.ts';
import { verifiedBytes, type OpenOptions } from './blob.ts';
import { holeBytes, zeros } from './hole.ts';
import type { Image, Layer } from './image.ts';
import { mergedTree, walkTree } from './merged-tree.ts';
import type { DirectoryNode } from './layer-tree.ts';

export interface ExtractOptions extends OpenOptions {
  readonly limits?: Partial<LayerLimits> | undefined;
}

const SLICE_BYTES = 256 * 1024;

/** What comes out of each layer, found out by reading all of them once. */
export interface ExtractPlan {
  readonly directories: readonly TarMember[];
  /** By layer: the names of each member that shows, by its number. */
  readonly files: readonly ReadonlyMap<number, readonly string[]>[];
}

const IMPLICIT = { mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n };

const directoryMember = (name: string, { entry }: DirectoryNode): TarMember => {
  const { mode, uid, gid, mtimeNs } = entry ?? IMPLICIT;
  return { type: 'directory', name, mode, uid, gid, mtimeNs, size: 0, xattrs: ownXattrs(entry) };
};

/** Not overlayfs's attributes, nor the labels of the host that the layer was made on. */
const ownXattrs = (entry: TarEntry | undefined): ReadonlyMap<string, Buffer> =>
  new Map(
    [...(entry?.xattrs ?? [])].filter(
      ([name]) => !/^(?:trusted|user)\.overlay\./.test(name) && name !== 'security.selinux',
    ),
  );

/** @throws {@link ImageError} as {@link extractImage} */
export const planExtraction = async (image: Image, options: ExtractOptions): Promise<ExtractPlan> => {
  const tree = await mergedTree(image, options);
  const directories = tree.entry === undefined ? [] : [directoryMember('', tree)];
  const files = image.layers.map(() => new Map<number, string[]>());
  for (const { path, node } of walkTree(tree)) {
    if (node.type === 'directory') directories.push(directoryMember(path, node));
    if (node.type !== 'file') continue;
    const { layer, ordinal } = node.inode;
    const names = files[layer]?.get(ordinal);
    if (names === undefined) files[layer]?.set(ordinal, [path]);
    else names.push(path);
  }
  return { directories, files };
};

/** Bytes to write, or how many zeros. */
type Piece = Buffer | number;

/** Turns the members that show into members of the new archive, under their first names; the others become links. */
class Emitter implements TarSink {
  readonly #names: ReadonlyMap<number, readonly string[]>;
  #ordinal = 0;
  #current: { readonly entry: TarEntry; readonly names: readonly string[] } | undefined;
  #written = 0;
  #holeBytes = 0;
  #pieces: Piece[] = [];

  constructor(names: ReadonlyMap<number, readonly string[]>) {
    this.#names = names;
  }

  entry(entry: TarEntry): void {
    this.#ordinal += 1;
    const names = this.#names.get(this.#ordinal);
    this.#current = names === undefined ? undefined : { entry, names };
    if (names === undefined) return;
    this.#written = 0;
    this.#holeBytes = holeBytes(this.#holeBytes, entry);
    this.#pieces.push(encodeHeader({ ...entry, name: names[0] as string, xattrs: ownXattrs(entry) }));
  }

  data(chunk: Buffer, offset: number): void {
    if (this.#current === undefined) return;
    this.#pieces.push(offset - this.#written, chunk);
    this.#written = offset + chunk.length;
  }

  end(): void {
    if (this.#current === undefined) return;
    const { entry, names } = this.#current;
    this.#pieces.push(entry.size - this.#written, padding(entry.size));
    for (const name of names.slice(1)) {
      const { mode, uid, gid, mtimeNs } = entry;
      const linkName = names[0] as string;
      this.#pieces.push(encodeHeader({ type: 'hardlink', name, linkName, mode, uid, gid, mtimeNs, size: 0 }));
    }
    this.#current = undefined;
  }

  /** What has come so far, in chunks worth passing on. */
  async *take(): AsyncGenerator<Buffer, void, void> {
    const pieces = this.#pieces;
    this.#pieces = [];
    let small: Buffer[] = [];
    for (const piece of pieces) {
      if (typeof piece !== 'number') small.push(piece);
      else if (piece > 0) {
        if (small.length > 0) yield Buffer.concat(small);
        small = [];
        yield* zeros(piece);
      }
    }
    if (small.length > 0) yield Buffer.concat(small);
  }
}

async function* layerBytes(
  layer: Layer,
  names: ReadonlyMap<number, readonly string[]>,
  { signal, limits }: ExtractOptions,
): AsyncGenerator<Buffer, void, void> {
  const emitter = new Emitter(names);
  const reader = new TarReader(emitter, limits);
  for await (const chunk of decompress(await detectStream(verifiedBytes(layer, { signal })))) {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      await reader.write(chunk.subarray(at, at + SLICE_BYTES));
      yield* emitter.take();
    }
  }
  reader.end();
  yield* emitter.take();
}

async function* treeBytes(
  image: Image,
  plan: ExtractPlan,
  options: ExtractOptions,
): AsyncGenerator<Buffer, void, void> {
  for (const directory of plan.directories) yield encodeHeader(directory);
  for (const [i, names] of plan.files.entries())
    if (names.size > 0) yield* layerBytes(image.layers[i] as Layer, names, options);
  yield TRAILER;
}

/** The archive that a plan makes of the image it is for. */
export const extractPlanned = (image: Image, plan: ExtractPlan, options: ExtractOptions): Readable =>
  Readable.from(treeBytes(image, plan, options), { objectMode: false });

/**
 * The tree that a container of the image sees, as one plain tar archive: layers put over each other, with whiteouts and
 * opaque directories applied. Nothing is unpacked, so it needs neither room nor privilege; only the names are kept in
 * memory. Each layer is read twice: once for the names, once for the files that show.
 *
 * Directories come first, then the files of each layer, the lowest first. A file that shows under several names comes
 * once, then as links, wherever the name is that its layer had it under. Sparse files come whole, with their holes as
 * zeros. Equal images give equal bytes. To unpack it by GNU tar with the directories' times, pass it
 * `--delay-directory-restore`.
 *
 * @throws {@link ImageError} through the stream: `CONTENT_MISMATCH`, `LAYER_INVALID`, `LAYER_UNSAFE`, `LAYER_LIMIT` (also
 *   for holes of more than 16 GiB), `COMPRESSION_UNSUPPORTED`
 * @see https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets
 */
export const extractImage = (image: Image, options: ExtractOptions = {}): Readable => {
  options.signal?.throwIfAborted();
  return Readable.from(
    (async function* () {
      yield* treeBytes(image, await planExtraction(image, options), options);
    })(),
    { objectMode: false },
  );
};
