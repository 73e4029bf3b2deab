import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';

import type { Digest } from '../digest.ts';
import { ImageError, quote } from '../errors.ts';
import { encodeHeader, padding, TRAILER } from '../tar/writer.ts';
import { compress, type Compression } from './compression.ts';
import { Meter } from './meter.ts';
import { Turn } from './turn.ts';
import { pathOf, walkDirectory, type SourceMember, type WalkOptions } from './source-tree.ts';

/** What to write instead of what the files have. */
export interface Ownership {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** One time for all members; default: each file's own. */
  readonly mtime?: Date | undefined;
}

export interface PackOptions extends Ownership, WalkOptions {
  /** Directory in the image that the tree is put into, for a source directory: `/app`. */
  readonly targetPath?: string | undefined;
  /** Default `none`. */
  readonly compression?: Compression | undefined;
  /** Of gzip, 1 to 9; default 6. */
  readonly level?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PackedLayer {
  /** Hash of the stream's bytes, and their number. */
  readonly digest: Digest;
  readonly size: number;
  /** Hash of the tar archive inside. */
  readonly diffId: Digest;
  readonly compression: Compression;
}

const READ_BYTES = 256 * 1024;

const adjusted = (member: SourceMember, { uid, gid, mtime }: Ownership): SourceMember => ({
  ...member,
  uid: uid ?? member.uid,
  gid: gid ?? member.gid,
  mtimeNs: mtime === undefined ? member.mtimeNs : BigInt(mtime.getTime()) * 1_000_000n,
});

/** Splits a place in an image into components. @throws {@link ImageError} `LAYER_UNSAFE` */
const targetParts = (targetPath: string): readonly string[] => {
  const parts = targetPath.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new ImageError('LAYER_UNSAFE', `refused target ${quote(targetPath)}: it contains ".."`, { path: targetPath });
  return parts;
};

/** The same members below a directory of the image, after the directories that lead there. */
function* below(members: Iterable<SourceMember>, parts: readonly string[]): Generator<SourceMember, void, void> {
  const target = parts.join('/');
  for (const member of members) {
    if (member.name === '') yield* parents(member, parts);
    const name = member.name === '' ? target : join(target, member.name);
    yield member.type === 'hardlink'
      ? { ...member, name, linkName: join(target, member.linkName ?? '') }
      : { ...member, name };
  }
}

/** Above the target stand directories of root's, as `mkdir -p` makes them, with the source's time. */
function* parents(source: SourceMember, parts: readonly string[]): Generator<SourceMember, void, void> {
  for (let depth = 1; depth < parts.length; depth += 1) {
    yield {
      type: 'directory',
      name: parts.slice(0, depth).join('/'),
      mode: 0o755,
      uid: 0,
      gid: 0,
      size: 0,
      mtimeNs: source.mtimeNs,
    };
  }
}

const join = (dir: string, name: string): string => (dir === '' ? name : `${dir}/${name}`);

/** Each piece is in `buffer`, and gone with the next. */
function* fileData(member: SourceMember, buffer: Buffer): Generator<Buffer, void, void> {
  const path = pathOf(member.path as string);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    // What was a file a moment ago may be a device now, whose reading would have effects.
    if (!fstatSync(fd).isFile()) throw changed(member);
    for (let left = member.size; left > 0;) {
      const bytes = readSync(fd, buffer, 0, Math.min(left, buffer.length), null);
      if (bytes === 0) throw changed(member);
      left -= bytes;
      yield buffer.subarray(0, bytes);
    }
  } finally {
    closeSync(fd);
  }
}

const changed = (member: SourceMember): ImageError =>
  new ImageError('LAYER_FAILED', `cannot archive ${quote(member.name)}: it changed while it was read`, {
    path: member.name,
  });

/** The archive's bytes in pieces of any size, each gone with the next. */
function* tarBytes(members: Iterable<SourceMember>, options: Ownership): Generator<Buffer, void, void> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (const member of members) {
    yield encodeHeader(adjusted(member, options));
    if (member.size === 0) continue;
    if (member.content === undefined) yield* fileData(member, buffer);
    else yield member.content;
    yield padding(member.size);
  }
  yield TRAILER;
}

/** Pieces gathered to chunks worth passing on; with `reuse`, each is gone with the next. */
async function* gathered(
  pieces: Iterable<Buffer>,
  { signal, reuse }: { readonly signal: AbortSignal | undefined; readonly reuse: boolean },
): AsyncGenerator<Buffer, void, void> {
  const turn = new Turn();
  let chunk = Buffer.allocUnsafeSlow(READ_BYTES);
  let filled = 0;
  for (const piece of pieces) {
    if (turn.isOver) await turn.pass();
    for (let at = 0; at < piece.length;) {
      const copied = piece.copy(chunk, filled, at);
      at += copied;
      filled += copied;
      if (filled < chunk.length) continue;
      signal?.throwIfAborted();
      yield chunk;
      if (!reuse) chunk = Buffer.allocUnsafeSlow(READ_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

const membersOf = (source: string | Iterable<SourceMember>, options: PackOptions): Iterable<SourceMember> =>
  below(typeof source === 'string' ? walkDirectory(source, options) : source, targetParts(options.targetPath ?? ''));

const tarChunks = (
  source: string | Iterable<SourceMember>,
  options: PackOptions,
  reuse: boolean,
): AsyncGenerator<Buffer, void, void> =>
  gathered(tarBytes(membersOf(source, options), options), { signal: options.signal, reuse });

/** The plain tar archive of a directory or of members, read as it is written. */
export const tarStream = (source: string | Iterable<SourceMember>, options: PackOptions): Readable =>
  Readable.from(tarChunks(source, options, false), { objectMode: false });

/** A stream of a layer's bytes; `packed` settles when it has been read to its end, and rejects when it fails. */
export interface LayerStream {
  readonly stream: Readable;
  readonly packed: Promise<PackedLayer>;
}

/**
 * Writes a layer of a directory or of members. Equal trees give equal bytes: members are sorted, and nothing depends on
 * the file system's order, the clock or the user's name. Sockets are left out, file capabilities and `user.` attributes
 * kept.
 *
 * @throws {@link ImageError} through the stream: `LAYER_FAILED` a file changed meanwhile, `LAYER_INVALID` a name that
 *   a layer can't have, `LAYER_UNSAFE`
 * @remarks Privilege: reading the files; an overlay upper directory's attributes need CAP_SYS_ADMIN.
 */
export const packLayer = (source: string | Iterable<SourceMember>, options: PackOptions = {}): LayerStream => {
  const { compression = 'none', signal } = options;
  signal?.throwIfAborted();
  const [diff, blob] = [new Meter(), new Meter()];
  const tar = diff.pass(tarChunks(source, options, compression !== 'none'));
  const stream = Readable.from(blob.pass(compress(tar, compression, options.level)), { objectMode: false });
  const packed = new Promise<PackedLayer>((resolve, reject) => {
    stream.once('error', reject);
    stream.once('close', () => {
      if (stream.readableEnded)
        resolve({ digest: blob.digest(), size: blob.bytes, diffId: diff.digest(), compression });
      else reject(new ImageError('LAYER_FAILED', 'the layer was not read to its end'));
    });
  });
  // Whoever reads only the stream sees its errors there.
  packed.catch(() => undefined);
  return { stream, packed };
};
