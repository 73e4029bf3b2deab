import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import { compareBytes, takePage } from '../pagination.ts';
import type { Page, PageRequest } from '../pagination.ts';
import type { BlobInfo, RegistryStorage, StorageCall, Upload } from '../storage.ts';
import { loadSystemCalls } from '../system.ts';
import { inodeOf } from './aside.ts';
import { mountContent, mountLink, openLink, publishBlob, removeLink, statLink } from './blobs.ts';
import { errnoOf, makeDurableDir, replaceFile, unlessMissing } from './durable.ts';
import { collectGarbage } from './garbage.ts';
import { Contents, listBlobs, listManifests, listTagEntries } from './inventory.ts';
import { blobsDir, repositoriesDir, temporaryDir, uploadsDir } from './layout.ts';
import {
  hasRepository,
  readRecord,
  readReferrers,
  readTags,
  removeRecord,
  removeTag,
  resolveTag,
  statRecord,
  writeRecord,
} from './manifests.ts';
import { walkRepositories } from './repositories.ts';
import { Uploads } from './uploads.ts';
import { verifyRecord } from './verify.ts';

const VERSION = 1;
const TAKEOVER_MS = 5000;

export interface FileSystemStorageOptions {
  /**
   * After this long without a byte, the writer of an upload counts as dead, and another process may continue. Default 5000.
   * A writer that is only slow loses its upload, and nothing else.
   */
  readonly takeoverMs?: number | undefined;
}

/**
 * Opens a registry's storage in a directory, which is made when it isn't there. Any number of processes may have it open.
 *
 * ```
 * registry.json                          the version of this layout
 * blobs/sha256/ab/abcd…                  contents, each once
 * repositories/<name>/_blobs/sha256/…    hard links to the contents that a repository has
 * repositories/<name>/_manifests/…       a line with the media type, then the manifest's bytes
 * repositories/<name>/_tags/<tag>        the digest
 * repositories/<name>/_referrers/…       descriptors, below the digest of their subject
 * uploads/, temporary/                   what is not finished
 * ```
 *
 * A hard link is the reference: the kernel counts them, no count of ours can be wrong, and what has a link can't be lost.
 *
 * @param rootDir - on one file system that has hard links
 * @throws Error: the directory can't be used, or has a layout of another version
 * @remarks Privilege: write access to the directory.
 */
export async function openFileSystemStorage(
  rootDir: string,
  { takeoverMs = TAKEOVER_MS }: FileSystemStorageOptions = {},
): Promise<RegistryStorage> {
  await loadSystemCalls();
  await prepare(rootDir);
  const uploads = new Uploads({ rootDir, takeoverMs });
  const contents = new Contents(rootDir);
  return {
    statBlob: (name, digest) => statLink(rootDir, { name, digest }),
    openBlob: (name, digest) => openLink(rootDir, { name, digest }),
    // Nobody but this process reads the directory. Whether the blob is there shows in the call that follows.
    blobUrl: () => Promise.resolve(undefined),
    startUpload: (name, algorithm) => uploads.start(name, algorithm),
    uploadedBytes: (upload) => uploads.sizeBytes(upload),
    appendUpload: (upload, chunk, options) => uploads.append(upload, chunk, options),
    finishUpload: (upload, digest, { signal } = {}) => finishUpload({ rootDir, uploads }, { upload, digest, signal }),
    cancelUpload: async (upload) => {
      if (!(await uploads.remove(upload))) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'no such upload');
    },
    mountBlob: async (name, digest, { from }) => {
      if (from === undefined) return mountContent(rootDir, { name, digest });
      for (const other of from) if (await mountLink(rootDir, other, { name, digest })) return true;
      return false;
    },
    deleteBlob: (name, digest) => removeLink(rootDir, { name, digest }),
    statManifest: (name, digest) => statRecord(rootDir, { name, digest }),
    readManifest: (name, digest) => readRecord(rootDir, { name, digest }),
    writeManifest: (name, manifest) => writeRecord(rootDir, name, manifest),
    deleteManifest: (name, digest) => removeRecord(rootDir, { name, digest }),
    listReferrers: (name, digest) => readReferrers(rootDir, name, digest),
    resolveTag: (name, tag) => resolveTag(rootDir, name, tag),
    deleteTag: (name, tag) => removeTag(rootDir, name, tag),
    listTags: async (name, page) => {
      if (!(await hasRepository(rootDir, name))) {
        throw new RegistryError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
      }
      return takePage([...(await readTags(rootDir, name))].sort(compareBytes), page);
    },
    listRepositories: (page) => pageOfRepositories(rootDir, page),
    listManifests: (name) => listManifests(rootDir, name),
    listTagEntries: (name) => listTagEntries(rootDir, name),
    listBlobs: (name) => listBlobs(rootDir, name),
    listContents: () => contents.list(),
    verifyContent: (digest, options) => contents.verify(digest, options),
    verifyManifest: (name, digest) => verifyRecord(rootDir, { name, digest }),
    removeStaleUploads: (maxAgeMs) => uploads.removeStale(maxAgeMs),
    collectGarbage: (graceMs, { signal } = {}) => collectGarbage({ rootDir, graceMs, signal }),
    // Nothing is held open between calls.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface Finishing extends StorageCall {
  readonly upload: Upload;
  readonly digest: Digest;
}

async function finishUpload(
  { rootDir, uploads }: { readonly rootDir: string; readonly uploads: Uploads },
  { upload, digest, signal }: Finishing,
): Promise<BlobInfo> {
  const claim = await uploads.claim(upload, signal);
  let isOver = false;
  try {
    if (await uploads.verify(claim, digest)) {
      const info = await publishBlob(rootDir, claim, { name: upload.name, digest });
      isOver = true;
      return info;
    }
    isOver = true;
    throw new RegistryError('DIGEST_INVALID', 'the bytes have another digest', { detail: { digest } });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || (await inodeOf(claim.path)) !== undefined) throw error;
    throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'the upload was cancelled meanwhile', { cause: error });
  } finally {
    await (isOver ? uploads.finish(claim) : uploads.release(claim));
  }
}

async function pageOfRepositories(rootDir: string, { limit, after }: PageRequest): Promise<Page<string>> {
  const entries: string[] = [];
  if (limit === 0) return { entries, next: undefined };
  for await (const name of walkRepositories(rootDir, after)) {
    if (entries.length === limit) return { entries, next: entries.at(-1) };
    entries.push(name);
  }
  return { entries, next: undefined };
}

async function prepare(rootDir: string): Promise<void> {
  await makeDurableDir(resolve(rootDir));
  for (const dir of [uploadsDir, temporaryDir, blobsDir, repositoriesDir]) await makeDurableDir(dir(rootDir));
  for (const algorithm of ['sha256', 'sha512']) await makeDurableDir(join(blobsDir(rootDir), algorithm));
  const path = join(rootDir, 'registry.json');
  const text = await unlessMissing(readFile(path, 'utf8'));
  if (text === undefined) return replaceFile(rootDir, { path, bytes: `${JSON.stringify({ version: VERSION })}\n` });
  const { version } = JSON.parse(text) as { readonly version: unknown };
  if (version !== VERSION) throw new Error(`cannot open ${rootDir}: its layout is of version ${String(version)}`);
}
