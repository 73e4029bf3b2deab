import { createHash, type Hash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import type { Digest } from '../digest.ts';
import { openRegularFile, streamFile } from '../image/file-range.ts';
import type { TarEntry, TarSink } from '../tar/entry.ts';
import { ArchiveFiles } from './archive-files.ts';

/** Receives an image archive's files into a directory, under numbers, hashed: for archives that come as a stream. */
export class Spool implements TarSink, Disposable {
  readonly files: ArchiveFiles = new ArchiveFiles();
  /** Where each file's bytes are. */
  readonly paths: Map<Digest, string> = new Map();
  readonly #dir: string;
  #entry: TarEntry | undefined;
  #fd = -1;
  #hash: Hash = createHash('sha256');
  #file = '';
  #size = 0;
  #count = 0;

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { mode: 0o700 });
  }

  entry(entry: TarEntry): void {
    if (!this.files.announce(entry)) return;
    this.#entry = entry;
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
    const [file, size] = [this.#file, this.#size];
    const digest: Digest = `sha256:${this.#hash.digest('hex')}`;
    const open = streamFile.bind(undefined, () => openRegularFile(file), size);
    this.files.add(this.#entry as TarEntry, { size, digest, open });
    this.paths.set(digest, file);
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
