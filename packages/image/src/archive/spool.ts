import { createHash, type Hash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join, posix } from 'node:path';

import type { Digest } from '../digest.ts';
import { DOCUMENT_MAX_BYTES } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import { splitPath } from '../layer/directory-tree.ts';
import type { TarEntry, TarSink } from '../tar/entry.ts';

/** A file of an archive, on disk under a name of ours. */
export interface SpooledFile {
  readonly file: string;
  readonly digest: Digest;
  readonly size: number;
}

const LINKS_MAX = 8;

const invalid = (why: string): ImageError => new ImageError('ARCHIVE_INVALID', `invalid image archive: ${why}`);

/**
 * Receives an image archive's files into a directory, hashed, under numbers: the archive's names are keys of a map and
 * never paths. Old Docker archives say by links that two layers are the same.
 */
export class Spool implements TarSink, Disposable {
  readonly #dir: string;
  readonly #files = new Map<string, SpooledFile>();
  readonly #links = new Map<string, string>();
  #fd = -1;
  #hash: Hash = createHash('sha256');
  #name = '';
  #file = '';
  #size = 0;
  #count = 0;

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { mode: 0o700 });
  }

  entry(entry: TarEntry): void {
    this.#name = splitPath(entry.name).join('/');
    if (entry.type === 'symlink') this.#links.set(this.#name, posix.join(posix.dirname(this.#name), entry.linkName));
    if (entry.type === 'hardlink') this.#links.set(this.#name, splitPath(entry.linkName).join('/'));
    if (entry.type !== 'file') return;
    if (entry.extents !== undefined) throw invalid(`${quote(entry.name)} is a sparse file`);
    this.#file = join(this.#dir, String(this.#count));
    this.#count += 1;
    this.#fd = openSync(this.#file, 'wx', 0o600);
    this.#hash = createHash('sha256');
    this.#size = 0;
  }

  data(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#size += chunk.length;
    for (let at = 0; at < chunk.length;) at += writeSync(this.#fd, chunk, at);
  }

  end(): void {
    if (this.#fd < 0) return;
    this[Symbol.dispose]();
    this.#files.set(this.#name, { file: this.#file, digest: `sha256:${this.#hash.digest('hex')}`, size: this.#size });
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  /** @throws {@link ImageError} `ARCHIVE_INVALID`: not in the archive */
  get(name: string): SpooledFile {
    let target = posix.normalize(name);
    for (let links = 0; links < LINKS_MAX; links += 1) {
      const found = this.#files.get(target);
      if (found !== undefined) return found;
      const next = this.#links.get(target);
      if (next === undefined) break;
      target = next;
    }
    throw invalid(`${quote(name)} is missing`);
  }

  /** A document of the archive. */
  read(name: string): Buffer {
    const { file, size } = this.get(name);
    if (size > DOCUMENT_MAX_BYTES) throw invalid(`${quote(name)} is larger than ${String(DOCUMENT_MAX_BYTES)} bytes`);
    return readHead(file, size);
  }
}

/** The first bytes of a file. */
export const readHead = (file: string, bytes: number): Buffer => {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(bytes);
    return head.subarray(0, readSync(fd, head, 0, bytes, 0));
  } finally {
    closeSync(fd);
  }
};
