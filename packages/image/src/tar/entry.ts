export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** A run of bytes of a sparse file; what lies between runs is a hole. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** One member of a tar archive, with every extension of its header applied. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As the archive has it: slashes, dots and all. Never join it to a path. */
  readonly name: string;
  /** Target of a symbolic link, or name of the member that a hard link is another name of. */
  readonly linkName: string;
  /** Permission and set-id bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, holes included. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint | undefined;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Where the stored bytes belong, for a sparse file. */
  readonly extents: readonly Extent[] | undefined;
}

/**
 * Receives an archive's members one after the other: `entry`, any number of `data`, `end`. The next call comes when what
 * the last one returned has resolved.
 */
export interface TarSink {
  entry(entry: TarEntry): void | Promise<void>;
  /** Bytes at `offset` in the file. The buffer is reused: copy what is kept. */
  data(chunk: Buffer, offset: number): void | Promise<void>;
  end(): void | Promise<void>;
}

export interface TarLimits {
  /** Members, extension headers included. */
  readonly maxEntries: number;
  /** Bytes of one extension header: a PAX record set or a GNU long name. */
  readonly maxHeaderBytes: number;
  /** Extents of one sparse file. */
  readonly maxExtents: number;
  /** Sum of all files' stored bytes. */
  readonly maxContentBytes: number;
}

export const DEFAULT_TAR_LIMITS: TarLimits = {
  maxEntries: 4_000_000,
  maxHeaderBytes: 1024 ** 2,
  maxExtents: 65_536,
  maxContentBytes: 1024 ** 4,
};
