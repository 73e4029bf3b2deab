import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import type { Descriptor } from '../descriptor.ts';
import { digestHex, type Digest } from '../digest.ts';
import { DOCUMENT_MAX_BYTES } from '../document.ts';
import { ImageError } from '../errors.ts';
import { verifiedBytes, type Blob, type OpenOptions } from '../image/blob.ts';
import { openRegularFile, streamFile } from '../image/file-range.ts';

const PARTIAL = '.partial-';

export const isMissing = (error: unknown): boolean =>
  Error.isError(error) && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

/** The files of a layout's `blobs/sha256`. */
export class LayoutBlobs {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  #file(digest: Digest): string {
    return join(this.#dir, 'blobs', 'sha256', digestHex(digest));
  }

  /** A document whole, unchecked; `undefined` when it isn't there. */
  async document({ digest }: Descriptor): Promise<Buffer | undefined> {
    let handle: FileHandle;
    try {
      handle = await openRegularFile(this.#file(digest), 'LAYOUT_INVALID');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      return await readBounded(handle, { file: this.#file(digest), maxBytes: DOCUMENT_MAX_BYTES });
    } finally {
      await handle.close();
    }
  }

  blob(descriptor: Descriptor): Blob {
    return { descriptor, open: (options) => streamFile(() => this.#open(descriptor.digest), descriptor.size, options) };
  }

  async #open(digest: Digest): Promise<FileHandle> {
    try {
      return await openRegularFile(this.#file(digest), 'LAYOUT_INVALID');
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw this.missing(digest);
    }
  }

  missing(digest: Digest): ImageError {
    return new ImageError('LAYOUT_INVALID', `image layout ${this.#dir} is damaged: blob ${digest} is missing`, {
      path: this.#file(digest),
      errno: 'ENOENT',
    });
  }

  /** Stores a blob under its digest, once it is verified; one that is there is only marked as in use. */
  async write(blob: Blob, options: OpenOptions): Promise<void> {
    if (await this.#touch(blob.descriptor)) return;
    const beside = join(this.#dir, PARTIAL + randomUUID());
    try {
      const handle = await open(beside, 'wx');
      try {
        for await (const chunk of verifiedBytes(blob, options)) await writeAll(handle, chunk);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(beside, this.#file(blob.descriptor.digest));
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  }

  /** True when the blob is there in its full size. Its time keeps a `prune` that runs meanwhile away from it. */
  async #touch({ digest, size }: Descriptor): Promise<boolean> {
    const file = this.#file(digest);
    try {
      if ((await stat(file)).size !== size) return false;
      const now = new Date();
      await utimes(file, now, now);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      // What isn't ours to touch is there all the same.
      if (Error.isError(error) && 'code' in error && ['EPERM', 'EACCES', 'EROFS'].includes(String(error.code)))
        return true;
      throw error;
    }
  }

  async make(): Promise<void> {
    await mkdir(join(this.#dir, 'blobs', 'sha256'), { recursive: true });
  }

  /** Removes blobs that are not among those, and what killed writers left, unless it is newer. */
  async removeOthers(kept: ReadonlySet<Digest>, before: Date): Promise<readonly Digest[]> {
    const removed: Digest[] = [];
    for (const name of await readdir(join(this.#dir, 'blobs', 'sha256'))) {
      const digest: Digest = `sha256:${name}`;
      if (!/^[0-9a-f]{64}$/.test(name) || kept.has(digest)) continue;
      if (await removeOld(this.#file(digest), before)) removed.push(digest);
    }
    for (const name of await readdir(this.#dir))
      if (name.startsWith(PARTIAL)) await removeOld(join(this.#dir, name), before);
    return removed;
  }
}

const removeOld = async (file: string, before: Date): Promise<boolean> => {
  if ((await stat(file)).mtimeMs >= before.getTime()) return false;
  await rm(file, { force: true });
  return true;
};

const writeAll = async (handle: FileHandle, chunk: Buffer): Promise<void> => {
  for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten;
};

/** An open file whole. @throws {@link ImageError} `DOCUMENT_INVALID`: it is larger */
export const readBounded = async (
  handle: FileHandle,
  { file, maxBytes }: { readonly file: string; readonly maxBytes: number },
): Promise<Buffer> => {
  const { size } = await handle.stat();
  if (size > maxBytes)
    throw new ImageError('DOCUMENT_INVALID', `invalid ${file}: larger than ${String(maxBytes)} bytes`, { path: file });
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await handle.read(bytes, 0, size, 0);
  return bytes.subarray(0, bytesRead);
};
