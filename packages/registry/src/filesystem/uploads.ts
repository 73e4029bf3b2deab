import { createHash, randomUUID } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm, rmdir, stat, unlink, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { RegistryError } from '../errors.ts';
import type { Algorithm, Digest } from '../names.ts';
import { checkChunkFollows, formatReceived } from '../ranges.ts';
import type { StorageCall, Upload, UploadChunk } from '../storage.ts';
import { writeBody } from './body.ts';
import { errnoOf, openFile, unlessMissing } from './durable.ts';
import { splitDigest, uploadDir, uploadsDir } from './layout.ts';

/** How many uploads' hashes are remembered between two requests; the others are read again at their end. */
const HASHES_MAX = 1000;
const FREE = 'data';
const READ_BYTES = 1024 * 1024;

const unknown = (): RegistryError => new RegistryError('BLOB_UPLOAD_UNKNOWN', 'no such upload');

const busy = (sizeBytes: number): RegistryError =>
  new RegistryError('BLOB_UPLOAD_INVALID', 'another request is writing to this upload', {
    status: 416,
    headers: { Range: formatReceived(sizeBytes) },
  });

/** An upload's file as it was found. */
interface Found {
  readonly path: string;
  readonly free: boolean;
  readonly ours: boolean;
  readonly sizeBytes: number;
  readonly changedMs: number;
}

/** An upload's file that nobody else writes to; open until it is released or removed. */
export interface Claim {
  readonly upload: Upload;
  readonly path: string;
  readonly fd: number;
  readonly sizeBytes: number;
  readonly changedMs: number;
}

interface Progress {
  readonly algorithm: Algorithm;
  readonly hash: Hash;
  readonly bytes: number;
}

export interface UploadsOptions {
  readonly rootDir: string;
  /** After this long without a byte, the writer of another process counts as dead. */
  readonly takeoverMs: number;
}

/**
 * Uploads are directories with one file, whose name says who may write: `data` anyone who renames it first, `w-…` the one who
 * did. A writer that died is recognised by its silence. Its file is then taken by another rename and *copied*, so that a
 * writer that had only been asleep writes into a file that nobody reads any more.
 */
export class Uploads {
  readonly #rootDir: string;
  readonly #takeoverMs: number;
  readonly #instance: string = randomUUID();
  /** By directory, the latest last. */
  readonly #progress = new Map<string, Progress>();

  constructor({ rootDir, takeoverMs }: UploadsOptions) {
    this.#rootDir = rootDir;
    this.#takeoverMs = takeoverMs;
  }

  async start(name: string, algorithm: Algorithm): Promise<string> {
    const id = `${algorithm}-${randomUUID()}`;
    const dir = uploadDir(this.#rootDir, { name, id });
    await mkdir(dir);
    closeSync(await openFile(join(dir, FREE), 'wx'));
    return id;
  }

  async sizeBytes(upload: Upload): Promise<number> {
    return (await this.#find(upload)).sizeBytes;
  }

  async append(upload: Upload, { offset, body }: UploadChunk, { signal }: StorageCall = {}): Promise<number> {
    const claim = await this.claim(upload, signal);
    const dir = uploadDir(this.#rootDir, upload);
    try {
      if (offset !== undefined) checkChunkFollows({ first: offset, last: offset }, claim.sizeBytes);
      const progress = this.#resume(dir, claim);
      const end = await writeBody(claim.fd, claim.sizeBytes, { body, hash: progress?.hash, signal });
      if (progress !== undefined) this.#remember(dir, { ...progress, bytes: end });
      return end;
    } finally {
      await this.release(claim);
    }
  }

  /** Checks the digest of all that has arrived. */
  async verify(claim: Claim, digest: Digest): Promise<boolean> {
    const [algorithm, hex] = splitDigest(digest);
    const progress = this.#resume(uploadDir(this.#rootDir, claim.upload), claim);
    if (progress?.algorithm === algorithm) return progress.hash.digest('hex') === hex;
    const hash = createHash(algorithm);
    for await (const chunk of createReadStream('', {
      fd: claim.fd,
      start: 0,
      autoClose: false,
      highWaterMark: READ_BYTES,
    }))
      hash.update(chunk as Buffer);
    return hash.digest('hex') === hex;
  }

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`; status 416 when somebody else is writing */
  async claim(upload: Upload, signal?: AbortSignal): Promise<Claim> {
    const dir = uploadDir(this.#rootDir, upload);
    // As a rule it is free, so it isn't looked for first.
    const path = await this.#take(dir, { path: join(dir, FREE), free: true });
    const claim = path === undefined ? undefined : await openClaim(upload, path);
    return claim ?? (await this.#waitFor(upload, signal));
  }

  async #waitFor(upload: Upload, signal?: AbortSignal): Promise<Claim> {
    const deadline = Date.now() + this.#takeoverMs + 1000;
    for (;;) {
      const found = await this.#find(upload);
      if (!found.free && (found.ours || Date.now() > deadline)) throw busy(found.sizeBytes);
      const restMs = found.free ? 0 : found.changedMs + this.#takeoverMs - Date.now();
      if (restMs > 0) {
        await sleep(Math.min(restMs, 250), undefined, { signal });
        continue;
      }
      const path = await this.#take(uploadDir(this.#rootDir, upload), found);
      const claim = path === undefined ? undefined : await openClaim(upload, path);
      if (claim !== undefined) return claim;
    }
  }

  /** Ends an upload that has become a blob, or never will. */
  async finish(claim: Claim): Promise<void> {
    const dir = uploadDir(this.#rootDir, claim.upload);
    this.#progress.delete(dir);
    closeSync(claim.fd);
    // An empty directory is no upload any more.
    await unlessMissing(unlink(claim.path));
    try {
      await unlessMissing(rmdir(dir));
    } catch (error) {
      if (errnoOf(error) !== 'ENOTEMPTY') throw error;
      await removeUploadDir(dir);
    }
  }

  /** Lets others write. Nothing happens when the claim was lost: then the file is no longer ours. */
  async release(claim: Claim): Promise<void> {
    closeSync(claim.fd);
    const dir = uploadDir(this.#rootDir, claim.upload);
    const lost = (await unlessMissing(rename(claim.path, join(dir, FREE)).then(() => true))) === undefined;
    if (lost) this.#progress.delete(dir);
  }

  /** @returns false when there is no such upload */
  async remove(upload: Upload): Promise<boolean> {
    const dir = uploadDir(this.#rootDir, upload);
    this.#progress.delete(dir);
    return removeUploadDir(dir);
  }

  async removeStale(maxAgeMs: number): Promise<number> {
    let removed = 0;
    for (const entry of await readdir(uploadsDir(this.#rootDir))) {
      const dir = join(uploadsDir(this.#rootDir), entry);
      const ages = await Promise.all(
        [dir, ...((await unlessMissing(readdir(dir))) ?? []).map((file) => join(dir, file))].map((path) =>
          unlessMissing(stat(path)),
        ),
      );
      const changedMs = Math.max(...ages.map((age) => age?.mtimeMs ?? 0));
      // Files' times have fractions of a millisecond, our clock has not.
      if (Date.now() + 1 - changedMs < maxAgeMs) continue;
      this.#progress.delete(dir);
      if (await removeUploadDir(dir)) removed += 1;
    }
    return removed;
  }

  async #find(upload: Upload): Promise<Found> {
    const dir = uploadDir(this.#rootDir, upload);
    // A file that was renamed after it was listed is listed again.
    for (let attempt = 0; attempt < 100; attempt++) {
      const names = await unlessMissing(readdir(dir));
      // The names in the order of their worth: `x-…` is one that is being taken over.
      const name = names?.find((entry) => entry === FREE) ?? names?.filter((entry) => /^[wx]-/.test(entry)).sort()[0];
      if (name === undefined) throw unknown();
      const path = join(dir, name);
      const facts = await unlessMissing(stat(path));
      if (facts === undefined) continue;
      const ours = name.startsWith(`w-${this.#instance}`);
      return { path, free: name === FREE, ours, sizeBytes: facts.size, changedMs: facts.mtimeMs };
    }
    throw busy(0);
  }

  /** @returns undefined when somebody was faster */
  async #take(dir: string, found: Pick<Found, 'path' | 'free'>): Promise<string | undefined> {
    const token = `${this.#instance}-${randomUUID().slice(0, 8)}`;
    const ours = join(dir, `w-${token}`);
    try {
      if (found.free) {
        await rename(found.path, ours);
        return ours;
      }
      const old = join(dir, `x-${token}`);
      await rename(found.path, old);
      const now = new Date();
      await utimes(old, now, now);
      const copy = join(dir, `c-${token}`);
      await copyFile(old, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await rename(copy, ours);
      await unlessMissing(unlink(old));
      return ours;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Takes the hash of what is there, when it was fed by us and nobody has written since. */
  #resume(dir: string, { upload, sizeBytes }: Claim): Progress | undefined {
    const progress = this.#progress.get(dir);
    this.#progress.delete(dir);
    if (progress?.bytes === sizeBytes) return progress;
    if (sizeBytes > 0) return undefined;
    const algorithm = upload.id.startsWith('sha512-') ? 'sha512' : 'sha256';
    return { algorithm, hash: createHash(algorithm), bytes: 0 };
  }

  #remember(dir: string, progress: Progress): void {
    this.#progress.set(dir, progress);
    const oldest = this.#progress.keys().next().value;
    if (this.#progress.size > HASHES_MAX && oldest !== undefined) this.#progress.delete(oldest);
  }
}

/** @returns undefined when it was taken over before it could be opened */
async function openClaim(upload: Upload, path: string): Promise<Claim | undefined> {
  const fd = await unlessMissing(openFile(path, 'r+'));
  if (fd === undefined) return undefined;
  const { size, mtimeMs } = fstatSync(fd);
  return { upload, path, fd, sizeBytes: size, changedMs: mtimeMs };
}

/** Away from its name first, so that nobody finds half of it. */
async function removeUploadDir(dir: string): Promise<boolean> {
  const away = join(dir, '..', '..', 'temporary', `${basename(dir)}.${randomUUID()}`);
  if ((await unlessMissing(rename(dir, away).then(() => true))) === undefined) return false;
  await rm(away, { recursive: true, force: true });
  return true;
}
