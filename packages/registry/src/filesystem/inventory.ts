import { opendir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isRegistryError } from '../errors.ts';
import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';
import type { ContentEntry, ContentState, ManifestEntry, TagEntry, VerifyOptions } from '../storage.ts';
import { inodeOf } from './aside.ts';
import { unlessMissing } from './durable.ts';
import { blobsDir, contentFile, linkFile, linksDir, manifestFile, tagFile } from './layout.ts';
import { manifestDigests, parseRecord, readTags, resolveTag } from './manifests.ts';
import { everyRepository } from './repositories.ts';
import { finishSettingAside, verifyFiles } from './verify.ts';

const ALGORITHMS = ['sha256', 'sha512'];

async function unlessUnknown<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isRegistryError(error)) return undefined;
    throw error;
  }
}

export async function* listManifests(rootDir: string, name: string): AsyncGenerator<ManifestEntry> {
  for await (const digest of manifestDigests(rootDir, name)) {
    const facts = await unlessMissing(stat(manifestFile(rootDir, name, digest)));
    const file = await unlessMissing(readFile(manifestFile(rootDir, name, digest)));
    if (facts !== undefined && file !== undefined) yield entryOf(file, { digest, pushedAtMs: facts.mtimeMs });
  }
}

/** One that is damaged is listed too, so that it is found. */
function entryOf(file: Buffer, known: Pick<ManifestEntry, 'digest' | 'pushedAtMs'>): ManifestEntry {
  try {
    const { mediaType, subject, bytes } = parseRecord(file);
    return { ...known, mediaType, subject, sizeBytes: bytes.byteLength };
  } catch {
    return { ...known, mediaType: 'application/octet-stream', subject: undefined, sizeBytes: file.byteLength };
  }
}

export async function* listTagEntries(rootDir: string, name: string): AsyncGenerator<TagEntry> {
  for (const tag of await readTags(rootDir, name)) {
    const facts = await unlessMissing(stat(tagFile(rootDir, name, tag)));
    const digest = await unlessUnknown(resolveTag(rootDir, name, tag));
    if (facts !== undefined && digest !== undefined) yield { tag, digest, updatedAtMs: facts.mtimeMs };
  }
}

async function* contentsOf(dir: string, algorithm: string): AsyncGenerator<ContentEntry> {
  for (const hex of (await unlessMissing(readdir(dir))) ?? []) {
    const digest = `${algorithm}:${hex}`;
    const facts = await unlessMissing(stat(join(dir, hex)));
    if (isDigest(digest) && facts !== undefined) yield { digest, sizeBytes: facts.size };
  }
}

export async function* listBlobs(rootDir: string, name: string): AsyncGenerator<ContentEntry> {
  for (const algorithm of ALGORITHMS) yield* contentsOf(join(linksDir(rootDir, name), algorithm), algorithm);
}

/**
 * The contents of a storage. Most are one file with many names; where the names of a file were used up, or a collection took
 * the shared one in the moment of a push, repositories have a file that the shared name doesn't lead to. A look through all
 * contents finds these *strays*, and remembers them for when their digest is verified.
 */
export class Contents {
  readonly #rootDir: string;
  /** One path for each file. */
  #strays: ReadonlyMap<Digest, readonly string[]> = new Map();

  constructor(rootDir: string) {
    this.#rootDir = rootDir;
  }

  async *list(): AsyncGenerator<ContentEntry> {
    await finishSettingAside(this.#rootDir);
    this.#strays = await findStrays(this.#rootDir);
    for (const algorithm of await readdir(blobsDir(this.#rootDir))) {
      const shards = join(blobsDir(this.#rootDir), algorithm);
      for (const shard of await readdir(shards)) yield* contentsOf(join(shards, shard), algorithm);
    }
    for (const [digest, [path = '']] of this.#strays) {
      if ((await inodeOf(contentFile(this.#rootDir, digest))) !== undefined) continue;
      const facts = await unlessMissing(stat(path));
      if (facts !== undefined) yield { digest, sizeBytes: facts.size };
    }
  }

  verify(digest: Digest, options: VerifyOptions = {}): Promise<ContentState> {
    return verifyFiles(this.#rootDir, digest, { ...options, others: this.#strays.get(digest) ?? [] });
  }
}

async function findStrays(rootDir: string): Promise<ReadonlyMap<Digest, readonly string[]>> {
  const strays = new Map<Digest, Map<bigint, string>>();
  for await (const name of everyRepository(rootDir)) {
    for await (const digest of linkedDigests(rootDir, name)) {
      const path = linkFile(rootDir, name, digest);
      const [inode, shared] = await Promise.all([inodeOf(path), inodeOf(contentFile(rootDir, digest))]);
      if (inode === undefined || inode === shared) continue;
      const files = strays.get(digest) ?? new Map<bigint, string>();
      strays.set(digest, files.set(inode, path));
    }
  }
  return new Map(Array.from(strays, ([digest, files]) => [digest, [...files.values()]]));
}

/** What a repository has links to, without looking at them. */
export async function* linkedDigests(rootDir: string, name: string): AsyncGenerator<Digest> {
  for (const algorithm of ALGORITHMS) {
    const dir = await unlessMissing(opendir(join(linksDir(rootDir, name), algorithm)));
    if (dir === undefined) continue;
    for await (const { name: hex } of dir) {
      const digest = `${algorithm}:${hex}`;
      if (isDigest(digest)) yield digest;
    }
  }
}
