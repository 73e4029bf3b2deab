import type { Readable } from 'node:stream';

import type { Algorithm, Digest } from './names.ts';
import type { Page, PageRequest } from './pagination.ts';
import type { ByteRange } from './ranges.ts';

/**
 * The words of storage. A *blob* is bytes with a digest, kept once however many repositories have it. A repository *has* a
 * blob when it was pushed or mounted there: a client of one repository can't read what only another one has. A *manifest* is
 * a blob with a media type that others refer to; a *tag* is a name for one. An *upload* is a blob that is still arriving.
 *
 * The promises, for every implementation. What a method has acknowledged survives a crash of process and machine; an upload
 * that is still arriving survives that of the process. Every blob, manifest and tag is there whole or not at all. Nothing can
 * be read under a digest that it doesn't have. Several processes may use the same storage. Names, tags and digests are valid
 * when they get here; an implementation must still never build a path from them that leaves its root.
 *
 * Errors: {@link RegistryError} with the code of the specification; anything else is the storage's own failure, a 500.
 */
export interface RegistryStorage
  extends BlobReader, BlobWriter, ManifestStorage, TagStorage, InventoryStorage, GarbageStorage, AsyncDisposable {}

/** Reads blobs. */
export interface BlobReader {
  /**
   * The size of a blob in a repository.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN`
   */
  statBlob(name: string, digest: Digest, options?: StorageCall): Promise<BlobInfo>;
  /**
   * Takes hold of a blob: it can be read to its end from then on, also when it is deleted meanwhile. The caller takes its
   * stream or closes it.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN`
   */
  openBlob(name: string, digest: Digest, options?: StorageCall): Promise<OpenBlob>;
  /**
   * A URL that the client may read the blob from by itself for some minutes, ranges included; undefined: only through us, and
   * not that the blob is there.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN`
   */
  blobUrl(name: string, digest: Digest, options?: StorageCall): Promise<URL | undefined>;
}

/** Writes blobs, in pieces that may come from several processes. */
export interface BlobWriter {
  /** Begins an upload and returns its id: unguessable, of `[A-Za-z0-9_-]`. It expires when nothing arrives for long. */
  startUpload(name: string, algorithm: Algorithm, options?: StorageCall): Promise<string>;
  /**
   * Bytes that have arrived, and are safe.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`: never begun, finished, cancelled or expired
   */
  uploadedBytes(upload: Upload, options?: StorageCall): Promise<number>;
  /**
   * Appends to an upload, and returns what has arrived in all. Two writers at once: one of them loses. When the body breaks
   * off, what has come of it counts as arrived, and the body's failure is thrown.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`; status 416: `offset` is not where the upload ends,
   *   or somebody else is writing
   */
  appendUpload(upload: Upload, chunk: UploadChunk, options?: StorageCall): Promise<number>;
  /**
   * Makes a blob of an upload. After a failed check the upload is gone, after any other failure it can be tried again.
   *
   * @throws {@link RegistryError} `DIGEST_INVALID`: the bytes have another digest; `BLOB_UPLOAD_UNKNOWN`
   */
  finishUpload(upload: Upload, digest: Digest, options?: StorageCall): Promise<BlobInfo>;
  /** Forgets an upload. @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  cancelUpload(upload: Upload, options?: StorageCall): Promise<void>;
  /**
   * Gives a repository a blob of others, without a copy. False when none of `from` has it: the client then uploads.
   */
  mountBlob(name: string, digest: Digest, options: MountOptions): Promise<boolean>;
  /**
   * Takes a blob from a repository, also when a manifest there needs it: the specification has no answer that refuses this.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN`
   */
  deleteBlob(name: string, digest: Digest, options?: StorageCall): Promise<void>;
}

/** Manifests and what refers to them. */
export interface ManifestStorage {
  /** Media type and size of a manifest. @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  statManifest(name: string, digest: Digest, options?: StorageCall): Promise<ManifestInfo>;
  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  readManifest(name: string, digest: Digest, options?: StorageCall): Promise<StoredManifest>;
  /**
   * Stores a manifest with its place among the referrers of its subject, then its tags. A crash in between can leave the
   * manifest without some of them; each is old or new. The same manifest again is a success.
   *
   * @throws {@link RegistryError} `DENIED`: an immutable tag is there and names another manifest; nothing was stored then
   */
  writeManifest(name: string, manifest: NewManifest, options?: StorageCall): Promise<void>;
  /** Removes a manifest with its tags. @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  deleteManifest(name: string, digest: Digest, options?: StorageCall): Promise<void>;
  /** The manifests whose subject is `digest`, by digest; none is an empty list, also for an unknown subject. */
  listReferrers(name: string, digest: Digest, options?: StorageCall): Promise<readonly Referrer[]>;
}

/** Tags, and the list of repositories. */
export interface TagStorage {
  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  resolveTag(name: string, tag: string, options?: StorageCall): Promise<Digest>;
  /** Removes a tag and leaves its manifest. @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  deleteTag(name: string, tag: string, options?: StorageCall): Promise<void>;
  /** Tags in byte order. @throws {@link RegistryError} `NAME_UNKNOWN` */
  listTags(name: string, page: PageRequest, options?: StorageCall): Promise<Page<string>>;
  /** Names of repositories that have a manifest, in byte order. */
  listRepositories(page: PageRequest, options?: StorageCall): Promise<Page<string>>;
}

/** Looks through everything, for retention, quotas, scrub and pages. Nothing of it is a snapshot. */
export interface InventoryStorage {
  /** Manifests of a repository in no order; none for an unknown one. */
  listManifests(name: string, options?: StorageCall): AsyncIterable<ManifestEntry>;
  /** Tags of a repository with what they name, in no order; none for an unknown one. */
  listTagEntries(name: string, options?: StorageCall): AsyncIterable<TagEntry>;
  /** Blobs that a repository has, in no order; none for an unknown one. */
  listBlobs(name: string, options?: StorageCall): AsyncIterable<ContentEntry>;
  /** Contents, each once, in no order. */
  listContents(options?: StorageCall): AsyncIterable<ContentEntry>;
  /**
   * Reads a content and compares it with its digest. One that is corrupt is taken from every repository and set aside, so
   * that a client can push it again; nobody is served it from then on.
   */
  verifyContent(digest: Digest, options?: VerifyOptions): Promise<ContentState>;
  /**
   * The same for a manifest of a repository. Its tags stay: pushed again, it is found by them as before. Until then no blob
   * of the repository counts as garbage, as nobody can tell what the manifest needs.
   */
  verifyManifest(name: string, digest: Digest, options?: StorageCall): Promise<ContentState>;
}

export interface VerifyOptions extends StorageCall {
  /** How fast it may be read. Default: as fast as it can. */
  readonly bytesPerSecond?: number | undefined;
}

export type ContentState = 'intact' | 'corrupt' | 'gone';

export interface ManifestEntry extends ManifestInfo {
  readonly digest: Digest;
  readonly subject: Digest | undefined;
  /** When it was pushed last, in milliseconds since the epoch. */
  readonly pushedAtMs: number;
}

export interface TagEntry {
  readonly tag: string;
  readonly digest: Digest;
  /** When it was made or moved, in milliseconds since the epoch. */
  readonly updatedAtMs: number;
}

export interface ContentEntry {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** Gives back the room of what nothing refers to, while others push and pull. */
export interface GarbageStorage {
  /** Forgets uploads that nothing has arrived for since `maxAgeMs`, and returns how many. */
  removeStaleUploads(maxAgeMs: number, options?: StorageCall): Promise<number>;
  /**
   * Takes from repositories the blobs that no manifest there refers to, and removes the content that no repository has.
   * What was pushed, mounted or asked for in the last `graceMs` stays: its manifest may be on its way. So it
   * must be longer than a push takes between a blob and its manifest; 0 is for when nobody pushes.
   */
  collectGarbage(graceMs: number, options?: StorageCall): Promise<GarbageReport>;
}

export interface GarbageReport {
  /** Blobs taken from repositories. */
  readonly unlinkedBlobs: number;
  /** Contents removed, and their bytes. */
  readonly removedBlobs: number;
  readonly removedBytes: number;
  /**
   * Manifests that couldn't be read, or aren't what their digest says: their repositories kept every blob. It is left out
   * when there are none.
   */
  readonly unreadable?: readonly UnreadableManifest[] | undefined;
}

export interface UnreadableManifest {
  readonly name: string;
  readonly digest: Digest;
}

export interface StorageCall {
  readonly signal?: AbortSignal | undefined;
}

/** A blob that is held open. */
export interface OpenBlob {
  readonly sizeBytes: number;
  /** All of it, where it is small and was read already. */
  readonly bytes?: Uint8Array | undefined;
  /** The descriptor of a file with nothing but its bytes, open until `close`: for a reader who takes no stream. */
  readonly fd?: number | undefined;
  /** All of it, or a range that lies inside. Called once; the end of the stream, or its destruction, lets go of the blob. */
  stream(range?: ByteRange): Readable;
  /** Lets go of a blob whose stream was not taken. */
  close(): Promise<void>;
}

export interface MountOptions extends StorageCall {
  /** Repositories that the client may read; undefined: any. */
  readonly from: readonly string[] | undefined;
}

export interface BlobInfo {
  readonly sizeBytes: number;
}

/** An upload belongs to the repository that it was begun in. */
export interface Upload {
  readonly name: string;
  readonly id: string;
}

export interface UploadChunk {
  /** Where it begins; undefined is wherever the upload ends. */
  readonly offset: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** How long the body says it will be; undefined: nobody knows yet. */
  readonly sizeBytes?: number | undefined;
}

export interface ManifestInfo {
  readonly mediaType: string;
  readonly sizeBytes: number;
}

export interface StoredManifest {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface NewManifest extends StoredManifest {
  /** Already verified against the bytes. */
  readonly digest: Digest;
  readonly tags: readonly string[];
  /** Those of `tags` that may be made, and not moved: of two who make one at once, one is refused. */
  readonly immutableTags?: ReadonlySet<string> | undefined;
  readonly subject: Digest | undefined;
  readonly referrer: Referrer | undefined;
}

/** One entry of a referrers list: a descriptor of the OCI image specification. */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly artifactType: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}
