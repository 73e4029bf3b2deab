import { opendir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { RegistryError } from '../errors.ts';
import { isDigest, isTag } from '../names.ts';
import type { Digest } from '../names.ts';
import { compareBytes } from '../pagination.ts';
import type { ManifestInfo, NewManifest, Referrer, StoredManifest } from '../storage.ts';
import { prepareFiles, readIfThere, replaceFile, statIfThere, syncDir, unlessMissing } from './durable.ts';
import {
  digestOfFileName,
  manifestFile,
  manifestsDir,
  referrerFile,
  referrersDir,
  tagFile,
  tagsDir,
} from './layout.ts';
import { makeTag, readTag, removeTagIf, tagDenied } from './tags.ts';

/** How many small files are read at once. */
const AT_ONCE = 16;
const NEWLINE = 0x0a;

export const manifestUnknown = (reference: string): RegistryError =>
  new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown to repository', { detail: { reference } });

/** The first line of a manifest's file; the bytes follow. */
interface ManifestHeader {
  readonly mediaType: string;
  readonly subject?: Digest | undefined;
}

/** A manifest as it is on disk. */
export interface ManifestRecord extends StoredManifest {
  readonly subject: Digest | undefined;
}

export interface ManifestKey {
  readonly name: string;
  readonly digest: Digest;
}

export function parseRecord(file: Buffer): ManifestRecord {
  const end = file.indexOf(NEWLINE);
  const { mediaType, subject } = JSON.parse(file.subarray(0, end).toString()) as ManifestHeader;
  return { mediaType, subject, bytes: file.subarray(end + 1) };
}

const formatRecord = ({ mediaType, subject, bytes }: NewManifest): Buffer => {
  const header: ManifestHeader = { mediaType, subject };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes]);
};

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function readRecord(rootDir: string, { name, digest }: ManifestKey): Promise<ManifestRecord> {
  const file = await readIfThere(manifestFile(rootDir, name, digest));
  if (file === undefined) throw manifestUnknown(digest);
  return parseRecord(file);
}

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function statRecord(rootDir: string, key: ManifestKey): Promise<ManifestInfo> {
  const { mediaType, bytes } = await readRecord(rootDir, key);
  return { mediaType, sizeBytes: bytes.byteLength };
}

export const hasRecord = async (rootDir: string, { name, digest }: ManifestKey): Promise<boolean> =>
  (await statIfThere(manifestFile(rootDir, name, digest))) !== undefined;

/**
 * The referrer goes first: a list of referrers leaves out those whose manifest isn't there, so the two appear as one. Tags go
 * last, so that none leads nowhere.
 *
 * @throws {@link RegistryError} `DENIED`: an immutable tag names another manifest
 */
export async function writeRecord(rootDir: string, name: string, manifest: NewManifest): Promise<void> {
  const { digest, subject, referrer } = manifest;
  await checkTags(rootDir, name, manifest);
  if (subject !== undefined && referrer !== undefined) {
    const path = referrerFile(rootDir, name, { subject, digest });
    await replaceFile(rootDir, { path, bytes: formatReferrer(referrer) });
  }
  await writeWithTags(rootDir, name, manifest);
  if (await hasRecord(rootDir, { name, digest })) return;
  // Somebody deleted it meanwhile, and may have looked for its tags before they were there.
  await removeTagsOf(rootDir, { name, digest });
  throw manifestUnknown(digest);
}

async function checkTags(rootDir: string, name: string, { digest, immutableTags }: NewManifest): Promise<void> {
  for (const tag of immutableTags ?? []) {
    const named = await readTag(rootDir, { name, tag });
    if (named !== undefined && named !== digest) throw tagDenied({ name, tag });
  }
}

/**
 * All files are on the disk before the first is seen. Immutable tags go before others, so that who loses a race for one has
 * moved no other, and in order, so that who loses one of several has made none that the winner wants too. One that is made
 * stays: somebody may count on it already.
 */
async function writeWithTags(rootDir: string, name: string, manifest: NewManifest): Promise<void> {
  const { digest, tags, immutableTags } = manifest;
  const immutable = [...new Set(tags)].filter((tag) => immutableTags?.has(tag) === true).sort(compareBytes);
  const others = [...new Set(tags)].filter((tag) => !immutable.includes(tag));
  const files = await prepareFiles(rootDir, [
    { path: manifestFile(rootDir, name, digest), bytes: formatRecord(manifest) },
    ...others.map((tag) => ({ path: tagFile(rootDir, name, tag), bytes: digest })),
  ]);
  const [record, ...moved] = files;
  try {
    await record?.publish();
    for (const tag of immutable) await makeTag(rootDir, { name, tag }, digest);
    await Promise.all(moved.map((file) => file.publish()));
  } catch (error) {
    await Promise.all(files.map((file) => file.discard()));
    throw error;
  }
}

/**
 * The manifest goes first, and with it all: what a process that dies leaves are tags that lead nowhere, which the next try or
 * garbage collection removes.
 *
 * @throws {@link RegistryError} `MANIFEST_UNKNOWN`
 */
export async function removeRecord(rootDir: string, key: ManifestKey): Promise<void> {
  const path = manifestFile(rootDir, key.name, key.digest);
  const { subject } = await readRecord(rootDir, key).catch(async (error: unknown) => {
    await removeTagsOf(rootDir, key);
    throw error;
  });
  if ((await unlessMissing(unlink(path).then(() => true))) === undefined) throw manifestUnknown(key.digest);
  await syncDir(dirname(path));
  await removeTagsOf(rootDir, key);
  if (subject === undefined) return;
  await unlessMissing(unlink(referrerFile(rootDir, key.name, { subject, digest: key.digest })));
}

/** Only while the manifest isn't there: who pushes it again at the same time keeps its tags. */
async function removeTagsOf(rootDir: string, { name, digest }: ManifestKey): Promise<void> {
  const removed: string[] = [];
  const unwanted = async (named: Digest | undefined): Promise<boolean> =>
    named === digest && !(await hasRecord(rootDir, { name, digest }));
  await forEach(await readTags(rootDir, name), async (tag) => {
    if (await removeTagIf(rootDir, { name, tag }, unwanted)) removed.push(tag);
  });
  if (removed.length > 0) await syncDir(tagsDir(rootDir, name));
}

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function resolveTag(rootDir: string, name: string, tag: string): Promise<Digest> {
  const digest = await readTag(rootDir, { name, tag });
  if (digest === undefined) throw manifestUnknown(tag);
  return digest;
}

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function removeTag(rootDir: string, name: string, tag: string): Promise<void> {
  const path = tagFile(rootDir, name, tag);
  if ((await unlessMissing(unlink(path).then(() => true))) === undefined) throw manifestUnknown(tag);
  await syncDir(dirname(path));
}

/** In no order. */
export const readTags = async (rootDir: string, name: string): Promise<readonly string[]> =>
  ((await unlessMissing(readdir(tagsDir(rootDir, name)))) ?? []).filter((tag) => isTag(tag));

/** A repository is there from its first manifest on, also when it has none any more. */
export const hasRepository = async (rootDir: string, name: string): Promise<boolean> =>
  (await unlessMissing(stat(manifestsDir(rootDir, name)))) !== undefined;

/** Digests of a repository's manifests, in no order. */
export async function* manifestDigests(rootDir: string, name: string): AsyncGenerator<Digest> {
  for (const algorithm of ['sha256', 'sha512']) {
    const dir = await unlessMissing(opendir(join(manifestsDir(rootDir, name), algorithm)));
    if (dir === undefined) continue;
    for await (const { name: hex } of dir) {
      const digest = `${algorithm}:${hex}`;
      if (isDigest(digest)) yield digest;
    }
  }
}

interface ReferrerFile extends Omit<Referrer, 'annotations'> {
  readonly annotations: Readonly<Record<string, string>>;
}

const formatReferrer = ({ annotations, ...referrer }: Referrer): string =>
  JSON.stringify({ ...referrer, annotations: Object.fromEntries(annotations) } satisfies ReferrerFile);

function parseReferrer(text: string): Referrer {
  const { mediaType, digest, sizeBytes, artifactType, annotations } = JSON.parse(text) as ReferrerFile;
  return { mediaType, digest, sizeBytes, artifactType, annotations: new Map(Object.entries(annotations)) };
}

export async function readReferrers(rootDir: string, name: string, subject: Digest): Promise<readonly Referrer[]> {
  const dir = referrersDir(rootDir, name, subject);
  const referrers: Referrer[] = [];
  await forEach((await unlessMissing(readdir(dir))) ?? [], async (fileName) => {
    const digest = digestOfFileName(fileName);
    if (digest === undefined || !(await hasRecord(rootDir, { name, digest }))) return;
    const text = await unlessMissing(readFile(join(dir, fileName), 'utf8'));
    if (text !== undefined) referrers.push(parseReferrer(text));
  });
  return referrers.sort((a, b) => compareBytes(a.digest, b.digest));
}

/** Does something for each of many, a few at once. */
export async function forEach<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
}
