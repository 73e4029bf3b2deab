import { posix } from 'node:path';
import type { Readable } from 'node:stream';

import type { Digest } from '../digest.ts';
import { DOCUMENT_MAX_BYTES } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import type { OpenOptions } from '../image/blob.ts';
import { splitPath } from '../layer/directory-tree.ts';
import type { TarEntry } from '../tar/entry.ts';

/** A file in an image archive. */
export interface ArchiveFile {
  readonly size: number;
  /** Where it was hashed while it came. */
  readonly digest?: Digest | undefined;
  open(options?: OpenOptions): Readable;
}

const LINKS_MAX = 8;

export const invalidArchive = (why: string): ImageError =>
  new ImageError('ARCHIVE_INVALID', `invalid image archive: ${why}`);

/**
 * The files of an image archive by their names, which are keys here and never paths. Old Docker archives say by links
 * that two layers are the same.
 */
export class ArchiveFiles {
  readonly #files = new Map<string, ArchiveFile>();
  readonly #links = new Map<string, string>();

  /** Takes a member's name; true for one whose bytes are wanted. */
  announce(entry: TarEntry): boolean {
    const name = splitPath(entry.name).join('/');
    if (entry.type === 'symlink') this.#links.set(name, posix.join(posix.dirname(name), entry.linkName));
    if (entry.type === 'hardlink') this.#links.set(name, splitPath(entry.linkName).join('/'));
    if (entry.type === 'file' && entry.extents !== undefined)
      throw invalidArchive(`${quote(entry.name)} is a sparse file`);
    return entry.type === 'file';
  }

  add(entry: TarEntry, file: ArchiveFile): void {
    this.#files.set(splitPath(entry.name).join('/'), file);
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  find(name: string): ArchiveFile | undefined {
    let target: string | undefined = posix.normalize(name);
    for (let links = 0; links < LINKS_MAX && target !== undefined; links += 1) {
      const found = this.#files.get(target);
      if (found !== undefined) return found;
      target = this.#links.get(target);
    }
    return undefined;
  }

  /** @throws {@link ImageError} `ARCHIVE_INVALID`: not in the archive */
  get(name: string): ArchiveFile {
    const found = this.find(name);
    if (found === undefined) throw invalidArchive(`${quote(name)} is missing`);
    return found;
  }

  /** A document of the archive. */
  async read(name: string, options: OpenOptions = {}): Promise<Buffer> {
    const file = this.get(name);
    if (file.size > DOCUMENT_MAX_BYTES)
      throw invalidArchive(`${quote(name)} is larger than ${String(DOCUMENT_MAX_BYTES)} bytes`);
    return readAll(file, options);
  }
}

const readAll = async (file: ArchiveFile, options: OpenOptions): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of file.open(options) as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
};

/** The first bytes of a file. */
export const readHead = async (file: ArchiveFile, bytes: number): Promise<Buffer> => {
  const stream = file.open();
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) return chunk.subarray(0, bytes);
    return Buffer.alloc(0);
  } finally {
    stream.destroy();
  }
};
