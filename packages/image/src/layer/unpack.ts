import { closeSync, constants, openSync } from 'node:fs';

import type { Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { fileChunks } from '../image/file-range.ts';
import type { TarLimits, TarSink } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { decompress, detectStream, type Compression } from './compression.ts';
import { Meter } from './meter.ts';
import { TreeWriter } from './tree-writer.ts';
import { Turn } from './turn.ts';

/** A file on this machine, or the bytes themselves. Of a file, less is in memory. */
export type ByteSource = string | AsyncIterable<Uint8Array>;

/** The bytes; of a file, a chunk is dead when the next one is asked for. */
export const openSource = (source: ByteSource): AsyncIterable<Uint8Array> =>
  typeof source === 'string' ? fileChunks(source) : source;

/** Bounds on what an archive may cost; see the README for the defaults. */
export interface LayerLimits extends TarLimits {
  /** Decompressed bytes for each compressed one, once `ratioFloorBytes` have come out. */
  readonly maxRatio: number;
  readonly ratioFloorBytes: number;
}

export interface UnpackOptions {
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
}

export interface ReadLayer {
  /** Hash of the tar archive, decompressed: what an image config lists. */
  readonly diffId: Digest;
  /** Hash and bytes of what came in, which a manifest lists. */
  readonly digest: Digest;
  readonly size: number;
  readonly compression: Compression;
  /** Bytes of the files in it. */
  readonly contentBytes: number;
}

export interface UnpackedLayer extends ReadLayer {
  readonly entries: number;
}

const DEFAULT_MAX_RATIO = 250;
const DEFAULT_RATIO_FLOOR = 1024 ** 3;
/** At most this much is hashed at once. */
const SLICE_BYTES = 256 * 1024;

/**
 * Reads a layer (plain, gzip or zstd, told by its first bytes) in one pass into a sink, and says what it was. Nothing
 * is held in memory but the current chunk.
 *
 * @throws {@link ImageError} `LAYER_INVALID`, `LAYER_LIMIT`, `COMPRESSION_UNSUPPORTED`, and what the sink throws
 */
export const readLayer = async (
  stream: AsyncIterable<Uint8Array>,
  sink: TarSink,
  { signal, limits = {} }: UnpackOptions = {},
): Promise<ReadLayer> => {
  signal?.throwIfAborted();
  const detected = await detectStream(stream);
  const [blob, diff] = [new Meter(), new Meter()];
  const pause = pauses(signal);
  const reader = new TarReader(paced(sink, pause), limits);
  const chunks = decompress({ ...detected, stream: blob.pass(detected.stream) }, { transient: true });
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      const slice = chunk.subarray(at, at + SLICE_BYTES);
      diff.add(slice);
      checkRatio(blob.bytes, diff.bytes, limits);
      await reader.write(slice);
      await pause();
    }
  }
  signal?.throwIfAborted();
  reader.end();
  return {
    diffId: diff.digest(),
    digest: blob.digest(),
    size: blob.bytes,
    compression: detected.compression,
    contentBytes: reader.contentBytes,
  };
};

/** Called often, lets others have a turn now and then, and stops when told. */
type Pause = () => Promise<void> | undefined;

const pauses = (signal: AbortSignal | undefined): Pause => {
  const turn = new Turn();
  const pass = async (): Promise<void> => {
    await turn.pass();
    signal?.throwIfAborted();
  };
  return () => (turn.isOver ? pass() : undefined);
};

/** A sink that makes promises only when there is something to wait for, if the other one does. */
const paced = (sink: TarSink, pause: Pause): TarSink => {
  const both = async (waiting: unknown): Promise<void> => {
    await waiting;
    await pause();
  };
  const after = (waiting: unknown): Promise<void> | undefined => (waiting === undefined ? pause() : both(waiting));
  return {
    entry: (entry) => after(sink.entry(entry)),
    data: (chunk, offset) => after(sink.data(chunk, offset)),
    end: () => sink.end(),
  };
};

const checkRatio = (blobBytes: number, diffBytes: number, limits: Partial<LayerLimits>): void => {
  const { maxRatio = DEFAULT_MAX_RATIO, ratioFloorBytes = DEFAULT_RATIO_FLOOR } = limits;
  if (diffBytes < ratioFloorBytes || diffBytes < blobBytes * maxRatio) return;
  throw new ImageError('LAYER_LIMIT', `layer refused: it decompresses to more than ${String(maxRatio)} times its size`);
};

/**
 * Unpacks a layer, a file or a stream, into an existing, empty directory, in the form that overlayfs takes as a lower directory.
 *
 * Names, links, devices, set-id bits, owners, times to the nanosecond and extended attributes (file capabilities among
 * them) are as in the archive; overlayfs's own attributes and SELinux labels are left out. Nothing outside `targetDir`
 * is read or written, whatever the archive says. After an error the directory holds a part: remove it.
 *
 * @throws {@link ImageError} `LAYER_INVALID`, `LAYER_UNSAFE`, `LAYER_LIMIT`, `LAYER_FAILED`, `COMPRESSION_UNSUPPORTED`,
 *   `NEEDS_ROOT`
 * @remarks Privilege: CAP_CHOWN, CAP_FOWNER, CAP_MKNOD, CAP_SETFCAP and CAP_SYS_ADMIN, where the layer has such members.
 * @see https://github.com/opencontainers/image-spec/blob/main/layer.md
 */
export const unpackLayer = async (
  source: ByteSource,
  targetDir: string,
  options: UnpackOptions = {},
): Promise<UnpackedLayer> => {
  const rootFd = openSync(targetDir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await using writer = new TreeWriter(rootFd);
    const layer = await readLayer(openSource(source), writer, options);
    await writer.finish();
    return { ...layer, entries: writer.entries };
  } finally {
    closeSync(rootFd);
  }
};
