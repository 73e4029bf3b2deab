import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { isRegistryError } from '../errors.ts';
import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';
import type { ContentEntry, ContentState, ManifestEntry, StorageCall, TagEntry } from '../storage.ts';
import { unlessMissing } from './durable.ts';
import { repositories } from './garbage.ts';
import {
  blobsDir,
  contentFile,
  corruptFile,
  linkFile,
  linksDir,
  manifestFile,
  splitDigest,
  tagFile,
} from './layout.ts';
import { manifestDigests, readRecord, readTags, resolveTag } from './manifests.ts';

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
    const record = await unlessUnknown(readRecord(rootDir, { name, digest }));
    if (facts === undefined || record === undefined) continue;
    const { mediaType, subject, bytes } = record;
    yield { digest, mediaType, subject, sizeBytes: bytes.byteLength, pushedAtMs: facts.mtimeMs };
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
  for (const algorithm of ['sha256', 'sha512']) yield* contentsOf(join(linksDir(rootDir, name), algorithm), algorithm);
}

export async function* listContents(rootDir: string): AsyncGenerator<ContentEntry> {
  for (const algorithm of await readdir(blobsDir(rootDir))) {
    const shards = join(blobsDir(rootDir), algorithm);
    for (const shard of await readdir(shards)) yield* contentsOf(join(shards, shard), algorithm);
  }
}

export async function verifyContent(rootDir: string, digest: Digest, options: StorageCall = {}): Promise<ContentState> {
  const [algorithm, hex] = splitDigest(digest);
  const path = contentFile(rootDir, digest);
  const hash = createHash(algorithm);
  const read = pipeline(createReadStream(path), hash, { signal: options.signal }).then(() => true);
  if ((await unlessMissing(read)) === undefined) return 'gone';
  if (hash.digest('hex') === hex) return 'intact';
  await setAside(rootDir, digest);
  return 'corrupt';
}

/** The repositories' links first: the shared name is how a collection that is killed here finds the content again. */
async function setAside(rootDir: string, digest: Digest): Promise<void> {
  for await (const name of repositories(rootDir)) await unlessMissing(unlink(linkFile(rootDir, name, digest)));
  const aside = corruptFile(rootDir, digest);
  await mkdir(dirname(aside), { recursive: true });
  await unlessMissing(rename(contentFile(rootDir, digest), aside));
}
